"""The findings of the report on traps, as sections of a report."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from gatepost.checks.trap_report.findings import EntryTotals, Findings, Share, Stopped
from gatepost.ledger.words.fitting import cut
from gatepost.ledger.words.sections import Column, Report, Row, Section
from gatepost.ledger.words.wording import number

_NAME = Column("name", "", "text")
_COUNT = Column("count", "")
# The title of each number of `Stopped`.
_STOPPED = (
    ("messages", "messages"),
    ("with_users", "  that named a user"),
    ("others", "    another rule would have refused them too"),
    ("alone", "    stopped by traps alone"),
    ("users", "users in these messages"),
    ("known", "messages of known senders, probably wrong"),
)
_SHARES = {
    "refused_of_all": "refused for a trap, of all messages",
    "refused_of_refused": "refused for a trap, of refused messages",
    "alone_of_all": "by traps alone, of all messages",
    "alone_of_refused": "by traps alone, of refused messages",
    "known_of_refused_by_traps": "known senders, of refused for a trap",
    "shadow_of_all": "would be refused without shadow mode, of all",
    "known_of_shadow": "known senders, of would be refused",
}
_MARKED = (
    ("messages", "marked"),
    ("accepted", "accepted"),
    ("by_score", "by score"),
    ("needed", "needed"),
    ("by_memory", "by memory"),
    ("otherwise_refused", "otherwise"),
    ("deferred", "deferred"),
)
# What the report has when there is something to report.
_EMPTY = (
    "No trap was hit, and no message was marked for one. With hits, the report has:",
    "- messages that traps refused, how many named users, how many no other rule",
    "  would have refused, and their shares of all mail with exact intervals",
    "- marked messages and what became of them",
    "- senders that are probably legitimate, with references",
    "- the traps with the most hits, and their clients' networks",
)
# Columns of a trap in a table, and of an entry.
_TRAP, _ENTRY = 22, 40


def report(found: Findings) -> Report:
    """Return the report."""
    sections = [*_empty(found), _mail(found), *_worth(found), _shares(found), _outcomes(found)]
    sections += [_classes(found), _other_rules(found), _marks(found), _known(found)]
    sections += [_entries(found), _networks(found), _unused(found)]
    return Report(found.since, found.until, [one for one in sections if one.rows])


def _empty(found: Findings) -> Iterator[Section]:
    if not found.outcomes and not found.marks:
        yield Section("empty", "Nothing to report yet", [_NAME], [(one,) for one in _EMPTY])


def _mail(found: Findings) -> Section:
    rows = [(f"messages {name}", found.results.get(name, 0)) for name in ("accepted", "refused")]
    rows += [("messages deferred", count) for count in _of(found.results, "deferred")]
    rows += [("transactions without a message", one) for one in _of(found.results, "abandoned")]
    return Section("mail", "All mail", [_NAME, _COUNT], rows)


def _of(counts: Mapping[str, int], name: str) -> Sequence[int]:
    return [counts[name]] if counts.get(name) else []


def _worth(found: Findings) -> Iterator[Section]:
    score = (
        f" Points of other plugins count from {found.threshold:g}." if found.threshold > 0 else ""
    )
    note = (
        "A user is a recipient that was accepted and is no trap. Rules about content were not asked"
        f" after a refusal at DATA, so the number for traps alone is an upper limit.{score}"
    )
    yield _stopped("refused", "Refused because of traps", found.refused, note)
    yield _shadow(found)


def _shadow(found: Findings) -> Section:
    """Return the hits in shadow mode, also if no message would have been refused."""
    note = "The other rules accepted the messages in the line for traps alone."
    section = _stopped("shadow", "Would be refused without shadow mode", found.shadow, note)
    if not found.shadow_hits:
        return section
    return section._replace(rows=[("transactions with a trap", found.shadow_hits), *section.rows])


def _stopped(name: str, title: str, counts: Stopped, note: str) -> Section:
    rows: list[Row] = [(label, getattr(counts, field)) for field, label in _STOPPED]
    return Section(name, title, [_NAME, _COUNT], rows if counts.messages else (), note)


def _shares(found: Findings) -> Section:
    named = [(name, one) for name, one in found.shares.items() if one.trials]
    if not found.shadow_hits:
        named = [(name, one) for name, one in named if "shadow" not in name]
    rows = [(_SHARES[name], _interval(one)) for name, one in named]
    columns = [_NAME, Column("share", "", "text")]
    note = "Each share has its exact 95 % interval."
    return Section("shares", "Shares", columns, rows if found.outcomes else (), note)


def _interval(one: Share) -> str:
    return f"{one.events / one.trials:.2%} ({one.low:.2%} to {one.high:.2%})"


def _outcomes(found: Findings) -> Section:
    rows = list(found.outcomes.items())
    return Section("outcomes", "All transactions with a trap", [_NAME, _COUNT], rows)


def _classes(found: Findings) -> Section:
    columns = [
        Column("class", "class", "text"),
        Column("refused", "refused"),
        Column("with_users", "with users"),
        Column("alone", "traps alone"),
    ]
    rows = [(name, one.messages, one.with_users, one.alone) for name, one in found.classes.items()]
    return Section("classes", "Refused messages by class of the trap", columns, rows)


def _other_rules(found: Findings) -> Section:
    title = "Rules that would have refused these messages too"
    return Section("other_rules", title, [_NAME, _COUNT], list(found.other_rules.items()))


def _marks(found: Findings) -> Section:
    columns = [
        Column("name", "mark", "text"),
        *(Column(field, title) for field, title in _MARKED),
    ]
    rows = [
        (name, *(getattr(one, field) for field, _ in _MARKED)) for name, one in found.marks.items()
    ]
    note = (
        "by score, by memory: refused by these plugins. needed: of those refused by score, the ones"
        " that would have passed without the points of the mark."
    )
    return Section("marks", "Marked messages", columns, rows, note)


def _known(found: Findings) -> Section:
    columns = [
        Column("sender", "sender", "text"),
        Column("standing", "standing", "text"),
        Column("ref", "reference", "text"),
        Column("trap", "trap", "text"),
    ]
    rows = [
        (one.sender or "<>", one.standing, one.ref, cut(one.trap, _TRAP))
        for one in found.known_senders
    ]
    more = found.known - len(rows)
    notes = [f"{number(more)} more are not shown."] if more > 0 else []
    notes += ["These senders have sent good mail, or your users have written to them."]
    notes += ["gatepost explain REFERENCE shows a message."]
    return Section("known", "Probably wrong: known senders", columns, rows, " ".join(notes))


def _entries(found: Findings) -> Section:
    columns = [
        Column("entry", "list:line and entry", "text"),
        Column("hits", "hits"),
        Column("refused", "refused"),
        Column("with_users", "users"),
        Column("alone", "alone"),
        Column("networks", "networks"),
    ]
    rows = [
        (cut(_place(one), _ENTRY), one.hits, one.refused, one.with_users, one.alone, one.networks)
        for one in found.entries
    ]
    more = found.entries_count - len(rows)
    note = f"{number(more)} more are not shown" if more > 0 else ""
    return Section("entries", "Traps with the most hits", columns, rows, note)


def _place(one: EntryTotals) -> str:
    """Return the entry with its line; of a path only the name of the file fits."""
    return f"{PurePath(one.list).name}:{one.line} {one.entry}" if one.line else one.list


def _networks(found: Findings) -> Section:
    columns = [Column("name", "network", "text"), Column("count", "transactions")]
    return Section("networks", "Networks of clients that hit a trap", columns, found.networks)


def _unused(found: Findings) -> Section:
    unused = found.unused
    rows = [(one,) for one in unused.first]
    at_most = "at most " if unused.incomplete else ""
    title = f"Traps without a hit: {at_most}{number(unused.count)} of {number(unused.entries)}"
    more = unused.count - len(rows)
    note = f"{number(more)} more are not shown" if more > 0 else ""
    return Section("unused", title, [_NAME], rows, note)
