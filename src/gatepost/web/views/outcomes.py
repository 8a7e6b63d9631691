"""The view Outcomes: whether today is normal.

Messages by result for each hour or day, with the day before and the same weekday before, and the
times of reloads.
"""

from collections import defaultdict
from collections.abc import Sequence

from gatepost.ledger.records import Notice
from gatepost.ledger.selection import Selection
from gatepost.web.filters import RESULTS, Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.counting import counted_note
from gatepost.web.views.periods import DAY, WEEK, Buckets
from gatepost.web.views.view import Shown

MARKS = 100
# The results that are messages; the client gave up the others.
_COUNTED = ("accepted", "deferred", "refused")
_TITLES = {
    "accepted": "Accepted",
    "deferred": "Deferred (4xx)",
    "refused": "Refused (5xx)",
    "abandoned": "Abandoned",
}
EMPTY = "No message has arrived in this period. Each message is counted about a second after it."
NOTE = "All: accepted, deferred and refused messages, without those that clients abandoned."
Series = dict[str, list[float]]
Hours = dict[str, list[tuple[int, float]]]


def query(source: Source, filters: Filters) -> Shown:
    """Return the counts of a period; raises `LedgerError`."""
    buckets = Buckets(filters.since, filters.until, filters.tz)
    length = buckets.until - buckets.since
    before = max(WEEK, length)
    hours, ended = _hours(source, buckets.since - before, buckets.until)
    series: Series = {result: buckets.sums(hours[result]) for result in RESULTS}
    counted = [pair for result in _COUNTED for pair in hours[result]]
    compared = {"week": buckets.sums(counted, WEEK)}
    if buckets.is_hourly:
        compared = {"day": buckets.sums(counted, DAY)} | compared
    all_ = [sum(values) for values in zip(*(series[one] for one in _COUNTED), strict=True)]
    cards = [
        (one, _TITLES[one], sum(series[one]), sum(series[one]) - _sum(hours[one], buckets, length))
        for one in RESULTS
    ]
    facts = {
        "cards": cards,
        "ended": ended_in(ended, buckets.since, buckets.until),
        "chart": {
            "times": buckets.starts,
            "unit": buckets.unit,
            "zone": filters.zone,
            "series": [[one, _TITLES[one], series[one]] for one in reversed(_COUNTED)],
            "lines": [[_COMPARED[name], values] for name, values in compared.items()],
            "marks": _marks(source, buckets) if source.scope.is_everything else [],
        },
        "has_mail": any(sum(values) for values in series.values()),
    }
    note = " ".join(filter(None, (NOTE, counted_note(source, filters))))
    return Shown([_table(buckets, series, all_, compared, note)], facts)


_COMPARED = {"day": "All, day before", "week": "All, week before"}


def _hours(source: Source, since: float, until: float) -> tuple[Hours, list[tuple[int, float]]]:
    """Return the counts of each result, and of connections that the server ended, by hour."""
    hours: Hours = defaultdict(list)
    ended: list[tuple[int, float]] = []
    for hour, dimension, counts in source.ledger.cells(since, until, ["result", "end"]):
        if dimension == "end":
            ended.append((hour, sum(n for key, n in counts.items() if key not in ("quit", "lost"))))
            continue
        for result, count in counts.items():
            hours[result].append((hour, count))
    return hours, ended


def _sum(hours: Sequence[tuple[int, float]], buckets: Buckets, length: int) -> int:
    """Return the sum of the period of the same length before."""
    return ended_in(hours, buckets.since - length, buckets.since)


def ended_in(hours: Sequence[tuple[int, float]], since: int, until: int) -> int:
    """Return the sum of the counts of some hours."""
    return round(sum(count for hour, count in hours if since <= hour < until))


def _marks(source: Source, buckets: Buckets) -> list[tuple[float, str]]:
    """Return the times of the last starts and reloads that are found soon."""
    selection = Selection(since=buckets.since, until=buckets.until, kinds=["notice"])
    found, _ = source.first(selection, MARKS)
    return [
        (one.time, one.name)
        for one in found
        if isinstance(one, Notice) and one.name in ("started", "reloaded")
    ]


def _table(
    buckets: Buckets,
    series: Series,
    all_: Sequence[float],
    compared: dict[str, list[float]],
    note: str,
) -> Table:
    columns = [
        Column("time", buckets.unit.capitalize(), "hour" if buckets.is_hourly else "day"),
        *(Column(one, _TITLES[one], "count") for one in RESULTS),
        Column("all", "All", "count"),
        *(Column(f"{name}_before", _COMPARED[name], "count") for name in compared),
    ]
    values = [series[one] for one in RESULTS]
    each = zip(buckets.starts, *values, all_, *compared.values(), strict=True)
    rows = [Row(row) for row in each][::-1] if any(map(any, (*values, *compared.values()))) else []
    return Table("outcomes", f"Messages per {buckets.unit}", columns, rows, EMPTY, note)
