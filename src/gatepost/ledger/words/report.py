"""The report of a period: totals become sections of rows, selected and sorted.

Limits: at most `top` rows of a section. Its note has the number of the others.
"""

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

import msgspec

from gatepost.ledger.records import SERVER
from gatepost.ledger.totals import Totals
from gatepost.ledger.words.sections import Column, Report, Row, Section
from gatepost.ledger.words.wording import moment, number

DAY = 86400
# The longest report with rows for such periods, the name of a period, and its form for strftime.
_PERIODS = (
    (2 * DAY, "hour", "%a %d %b %H:00"),
    (62 * DAY, "day", "%a %d %b"),
    (float("inf"), "month", "%b %Y"),
)


class QueueDepth(msgspec.Struct, frozen=True):
    """The recipients in the queue for a destination."""

    destination: str
    queued: int
    held: int


class _Ranking(NamedTuple):
    """A section that has the largest counts of a dimension, without some keys."""

    dimension: str
    title: str
    header: str
    counted: str
    omitted: Sequence[str] = ()


_RANKINGS = (
    _Ranking("end", "Connections that the server ended", "reason", "connections", ("quit", "lost")),
    _Ranking("sender", "Senders", "sender", "messages"),
    _Ranking("sender_domain", "Sender domains", "domain", "messages"),
    _Ranking("refused_sender_domain", "Sender domains of refused messages", "domain", "messages"),
    _Ranking("recipient", "Recipients", "recipient", "messages"),
    _Ranking("recipient_domain", "Recipient domains", "domain", "recipients"),
    _Ranking("network", "Networks of clients", "network", "messages"),
    _Ranking("refused_network", "Networks of refused clients", "network", "messages"),
    _Ranking("trap", "Traps that were hit", "list:line and entry", "hits"),
)
_LOST = _Ranking("lost", "Records that are missing", "cause", "records")

# Rows of the first section: the label, the dimension, and the keys that are added up.
_VOLUMES: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("connections", "end", ()),
    ("messages accepted", "result", ("accepted",)),
    ("messages refused", "result", ("refused",)),
    ("messages deferred", "result", ("deferred",)),
    ("transactions without a message", "result", ("abandoned",)),
    ("messages that shadow mode let pass", "result", ("shadowed",)),
    ("recipients accepted", "recipient_result", ("accepted",)),
    ("recipients refused", "recipient_result", ("refused",)),
    ("recipients deferred", "recipient_result", ("deferred",)),
    ("deliveries of the queue", "delivery", ("delivered",)),
    ("deliveries deferred", "delivery", ("deferred",)),
    ("recipients bounced or held", "delivery", ("bounced", "held", "damaged")),
)
_TRAFFIC = (
    ("content of accepted messages", "accepted"),
    ("received from clients", "received"),
    ("sent to clients", "sent"),
)
_RESULTS = ("accepted", "refused", "deferred")


class _Results(NamedTuple):
    """A section that has the counts of each result of a name; the keys are result and name."""

    dimension: str
    title: str
    header: str
    results: Sequence[str]


_DESTINATIONS = _Results(
    "destination",
    "Deliveries by destination",
    "destination",
    ("delivered", "deferred", "bounced", "held"),
)
_DMARC = _Results(
    "dmarc", "Authentication (DMARC)", "From domain", ("pass", "fail", "none", "temperror")
)


def report(
    totals: Totals, queue: Sequence[QueueDepth], top: int = 10, zone: tzinfo | None = None
) -> Report:
    """Return the sections of a report that have rows."""
    overview = [_volumes(totals), _traffic(totals), _periods(totals, zone)]
    details = [
        _reasons(totals, "reason", "Reasons of refusals"),
        _reasons(totals, "shadow_reason", "Refusals in shadow mode, without effect"),
        *(_ranking(totals, one) for one in _RANKINGS),
        _plugins(totals),
        _results(totals, _DMARC),
        _results(totals, _DESTINATIONS),
        _queue(queue),
        _ranking(totals, _LOST),
    ]
    shown = (_top(one, top, totals.rest.get(one.name, 0)) for one in details)
    return Report(totals.since, totals.until, [one for one in (*overview, *shown) if one.rows])


def _top(found: Section, top: int, rest: int) -> Section:
    """Return the first rows of a section, and how many there are besides."""
    more = len(found.rows) - top
    notes = [f"{number(more)} more are not shown"] if more > 0 else []
    notes += [f"rare ones that were not counted one by one: {number(rest)}"] if rest else []
    return found._replace(rows=found.rows[:top], note="; ".join(notes))


# Sections


def _volumes(totals: Totals) -> Section:
    rows: list[Row] = []
    for label, dimension, names in _VOLUMES:
        counts = totals.counts.get(dimension, {})
        count = sum(counts.get(name, 0) for name in names or counts)
        if count or label.startswith("messages "):
            rows.append((label, count))
    return Section("volumes", "Volumes", (Column("name", "", "text"), Column("count", "")), rows)


def _traffic(totals: Totals) -> Section:
    counts = totals.counts.get("octets", {})
    rows = [(label, counts[key]) for label, key in _TRAFFIC if counts.get(key)]
    columns = (Column("name", "", "text"), Column("octets", "", "octets"))
    return Section("traffic", "Traffic", columns, rows)


def _periods(totals: Totals, zone: tzinfo | None) -> Section:
    """Return the messages of each hour, day or month: the shortest that does not give many rows."""
    length = totals.until - totals.since
    name, form = next((name, form) for longest, name, form in _PERIODS if length <= longest)
    found: dict[str, dict[str, int]] = {}
    for key, count in sorted(totals.counts.get("hour", {}).items()):
        hour, _, result = key.partition(" ")
        if result in _RESULTS and hour.isdecimal():
            counts = found.setdefault(moment(float(hour[:15]), form, zone), {})
            counts[result] = counts.get(result, 0) + count
    rows: list[Row] = [
        (period, *(counts.get(result, 0) for result in _RESULTS), sum(counts.values()))
        for period, counts in found.items()
    ]
    headers = (
        Column("time", name, "text"),
        *(Column(one, one) for one in _RESULTS),
        Column("all", "", "bar"),
    )
    return Section("hours", f"Messages per {name}", headers, rows)


def _reasons(totals: Totals, dimension: str, title: str) -> Section:
    rows = [(*_split(key), count) for key, count in _largest(totals, dimension)]
    headers = (
        Column("reason", "reason", "text"),
        Column("by", "by", "text"),
        Column("count", "count"),
    )
    return Section(dimension, title, headers, rows)


def _split(key: str) -> tuple[str, str]:
    by, _, reason = key.rpartition(" ")
    return reason or "-", by or "-"


def _ranking(totals: Totals, ranking: _Ranking) -> Section:
    headers = (Column("name", ranking.header, "text"), Column("count", ranking.counted))
    rows = [row for row in _largest(totals, ranking.dimension) if row[0] not in ranking.omitted]
    return Section(ranking.dimension, ranking.title, headers, rows)


def _plugins(totals: Totals) -> Section:
    """Return the plugins that took the most time for an answer."""
    answers = totals.counts.get("plugin", {})
    rows = [
        (name, count, totals.counts.get("plugin_ms", {}).get(name, 0) / 1000 / max(count, 1))
        for name, count in answers.items()
        if name not in SERVER
    ]
    rows.sort(key=lambda row: (-row[2], row[0]))
    headers = (
        Column("name", "plugin", "text"),
        Column("count", "answers"),
        Column("seconds", "mean time", "seconds"),
    )
    return Section("plugin", "Slowest plugins", headers, rows)


def _results(totals: Totals, kind: _Results) -> Section:
    """Return the counts of each result of a name, that with the largest count first."""
    found: dict[str, dict[str, int]] = {}
    for key, count in _largest(totals, kind.dimension):
        result, _, name = key.partition(" ")
        counts = found.setdefault(name, {})
        counts[result] = counts.get(result, 0) + count
    rows: list[Row] = [
        (name, *(counts.get(one, 0) for one in kind.results)) for name, counts in found.items()
    ]
    headers = (Column("name", kind.header, "text"), *(Column(one, one) for one in kind.results))
    return Section(kind.dimension, kind.title, headers, rows)


def _queue(queue: Sequence[QueueDepth]) -> Section:
    depths = sorted(queue, key=lambda one: (-one.queued - one.held, one.destination))
    rows = [(one.destination, one.queued, one.held) for one in depths]
    headers = (
        Column("name", "destination", "text"),
        Column("queued", "queued"),
        Column("held", "held"),
    )
    return Section("queue", "The queue now, in recipients", headers, rows)


def _largest(totals: Totals, dimension: str) -> list[tuple[str, int]]:
    counts = totals.counts.get(dimension, {})
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
