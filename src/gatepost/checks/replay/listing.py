"""The findings of a replay as lines of text.

Security: a line can have any text of a client or a plugin; what prints it must make it printable.
"""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from gatepost.checks.replay.findings import MAX_SENDERS, Example, Findings, Group
from gatepost.ledger.limits import MAX_LISTED
from gatepost.ledger.words.wording import FULL, counted, moment, number, on_one_line, path

# The kinds of changes with their titles; the names are those of the fields.
_KINDS = (
    ("refused", "Would be refused now"),
    ("accepted", "Would be accepted now"),
    ("reply", "Would get another reply"),
)
_CORE = "gatepost"


def lines(found: Findings, zone: tzinfo | None = None) -> Iterator[str]:
    """Yield the lines of a result; times are in `zone`, the local one by default."""
    yield from _summary(found, zone)
    for field, title in _KINDS:
        groups: Sequence[Group] = getattr(found, field)
        yield ""
        yield title
        if not groups:
            yield "  none"
        for group in groups:
            yield from _group(group, zone)
    yield from _limits(found)


def _summary(found: Findings, zone: tzinfo | None) -> Iterator[str]:
    if found.interrupted:
        yield "Interrupted: this is the result so far."
    played = f"{counted(found.transactions, 'transaction')}"
    sessions = f" of {counted(found.sessions, 'session')}" if found.sessions else ""
    yield f"{played}{sessions}, {counted(found.recipients, 'recipient')}"
    if found.until:
        yield f"from {moment(found.since, FULL, zone)} to {moment(found.until, FULL, zone)}"
    yield f"{counted(found.unchanged, 'transaction')} would have the same result"


def _group(group: Group, zone: tzinfo | None) -> Iterator[str]:
    author = "the core" if group.by == _CORE else group.by
    rule = f"{author}, {group.reason}" if group.reason else author
    most = "more than " if group.senders >= MAX_SENDERS else ""
    noun = "client" if group.subject == "connection" else "sender"
    yield (
        f"  {counted(group.count, group.subject)} of {most}{counted(group.senders, noun)}: {rule}"
    )
    if group.open:
        yield f"    {number(group.open)} of them depend on plugins that could not decide"
    for example in group.examples:
        yield from _example(example, zone)


def _example(one: Example, zone: tzinfo | None) -> Iterator[str]:
    detail = f" ({one.detail})" if one.detail else ""
    yield f"    {moment(one.time, FULL, zone)} {one.client} [{one.ref}]"
    if one.recipients:
        more = one.recipients_count - len(one.recipients)
        others = f" and {number(more)} more" if more > 0 else ""
        yield f"      {path(one.sender)} to {', '.join(map(path, one.recipients))}{others}"
    yield f"      then: {on_one_line(one.old)}"
    yield f"      now:  {on_one_line(one.new)}{detail}"


def _limits(found: Findings) -> Iterator[str]:
    """Yield what the replay could not decide."""
    yield ""
    yield "Could not be decided"
    limits = [*_undecided(found)]
    yield from (f"  {one}" for one in limits or ["none"])


def _undecided(found: Findings) -> Iterator[str]:
    if found.content:
        messages = counted(found.content, "message")
        yield f"{messages} got as far as the content; rules about content were not asked"
    if found.hashed:
        yield (
            f"{counted(found.hashed, 'transaction')} with hashed addresses;"
            " rules about local parts were not decided"
        )
    if found.unlisted:
        yield f"{counted(found.unlisted, 'recipient')} beyond the first {MAX_LISTED} of a message"
    for one in found.undecided:
        yield f"{counted(one.count, 'difference')}: {one.why}"
    for use in found.uses:
        plugin = f"plugin {use.plugin}" if use.plugin else "a plugin"
        yield f"{plugin} needed {use.what}: {counted(use.count, 'time')}"
    if found.left_out:
        yield f"plugins that cannot start without the network: {', '.join(found.left_out)}"
    if found.invalid:
        yield f"{counted(found.invalid, 'record')} could not be played, such as"
        yield from (f"  {problem}" for problem in found.problems)
