"""The findings of a back-test as sections of a report."""

from collections.abc import Iterable

from gatepost.checks.backtest.evidence import Evidence
from gatepost.checks.backtest.findings import Findings, RuleTotals
from gatepost.ledger.words.sections import Column, Report, Row, Section

_NAME = Column("name", "", "text")
_COUNT = Column("count", "")


def report(found: Findings) -> Report:
    """Return the report of a back-test."""
    tops = (
        ("networks", "Networks of the hits", found.networks),
        ("senders", "Senders of the hits", found.senders),
        ("replies", "Results of the hits in the log", found.replies),
    )
    sections = [_log(found), _rules(found), _evidence(found), _intervals(found), _examples(found)]
    sections += [_top(*one) for one in tops]
    return Report(found.since, found.until, [one for one in sections if one.rows])


def _log(found: Findings) -> Section:
    log, totals = found.log, found.totals
    rows = [
        ("lines", log.lines),
        ("lines of other programs", log.foreign),
        ("lines without a time", log.bad),
        ("transactions from outside", totals.transactions),
        ("  messages accepted", totals.accepted),
        ("  refused for their content", totals.refused_by_content),
        ("  nothing accepted", totals.without_accepted),
        ("transactions of our own users", totals.own),
        ("recipients", totals.recipients),
        ("  unknown", totals.unknown),
    ]
    return Section("log", f"Log: {', '.join(log.formats)}", [_NAME, _COUNT], rows, _notes(found))


def _notes(found: Findings) -> str:
    log = found.log
    notes = [*log.problems]
    notes += (
        [f"{log.dropped} transactions were dropped: too many were open."] if log.dropped else []
    )
    notes += [f"{log.cut} lines were too long and cut."] if log.cut else []
    return " ".join(notes)


def _rules(found: Findings) -> Section:
    columns = [
        Column("rule", "rule", "text"),
        Column("hits", "hits"),
        Column("recipients", "recipients"),
        Column("refused", "refuse"),
        Column("recipient_only", "trap only"),
        Column("marked", "mark"),
    ]
    rows = [
        (name, one.hits, one.recipients, one.refused, one.recipient_only, one.marked)
        for name, one in found.rules.items()
    ]
    note = (
        "hits: transactions. The last three columns count messages that were accepted: they would"
        " be refused, refused for the trap alone, or marked. The memory marks for 7 days; the last"
        " line is what refusing for 24 hours would do."
    )
    return Section("rules", "Rules", columns, rows, note)


def _evidence(found: Findings) -> Section:
    columns = [
        Column("rule", "rule", "text"),
        Column("touched", "accepted"),
        Column("content", "content"),
        Column("later", "later mail"),
        Column("wrote", "wrote to"),
        Column("spam", "spam"),
    ]
    rows = [_evidence_row(name, one) for name, one in found.rules.items() if one.touched]
    note = (
        "Evidence that accepted messages which a rule would touch were legitimate. content: the"
        " content filter passed it. later mail: the domain had mail accepted a day or more later."
        " wrote to: our users wrote to the sender. spam: accepted, but the content filter took it"
        " for spam."
    )
    return Section("evidence", "Possible mistakes", columns, rows, note)


def _evidence_row(name: str, one: RuleTotals) -> Row:
    counts = [one.wrong.get(evidence.value, 0) for evidence in Evidence]
    return (name, one.touched, *counts, one.spam)


def _intervals(found: Findings) -> Section:
    columns = [
        Column("rule", "rule", "text"),
        Column("touched", "touched", "text"),
        Column("wrong", "probably wrong", "text"),
    ]
    rules = found.rules if found.totals.accepted else {}
    rows = [
        (name, _share(found, one.touched), _share(found, one.strong)) for name, one in rules.items()
    ]
    note = (
        "Share of accepted messages, with the exact 95 % interval. probably wrong: the domain had"
        " later mail, or our users wrote to the sender."
    )
    return Section("intervals", "Shares", columns, rows, note)


def _share(found: Findings, events: int) -> str:
    low, high = found.share(events)
    return f"{events / found.totals.accepted:.2%} ({low:.2%} to {high:.2%})"


def _examples(found: Findings) -> Section:
    columns = [Column("sender", "sender", "text"), Column("reason", "rule", "text")]
    rows = [(one.sender, ", ".join(one.rules[:1])) for one in found.examples]
    return Section("examples", "Probably wrong", columns, rows)


def _top(name: str, title: str, rows: Iterable[tuple[str, int]]) -> Section:
    return Section(name, title, [_NAME, _COUNT], [(text or "<>", count) for text, count in rows])
