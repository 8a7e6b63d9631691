"""The view Reasons: what refuses most, and what changed since the period before."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.periods import Buckets
from gatepost.web.views.view import Shown

MOST = 200
COLUMNS = (
    Column("reason", "Reason"),
    Column("by", "By"),
    Column("count", "Count", "count"),
    Column("change", "Change", "change"),
    Column("share", "Share", "share"),
    Column("trend", "Trend", "trend"),
)
_TITLES = {
    "reason": "Refusals and deferrals",
    "shadow_reason": "In shadow mode, without effect",
}
_EMPTY = {
    "reason": "Nothing was refused or deferred in this period.",
    "shadow_reason": (
        'No plugin in shadow mode had an opinion. Set action = "log" in a [[plugin]] to see here'
        " what it would refuse."
    ),
}


def query(source: Source, filters: Filters) -> Shown:
    """Return the counts of each reason; raises `LedgerError`."""
    buckets = Buckets(filters.since, filters.until, filters.tz)
    length = buckets.until - buckets.since
    hours: dict[str, dict[str, list[tuple[int, float]]]] = {
        dimension: defaultdict(list) for dimension in _TITLES
    }
    for hour, dimension, counts in source.ledger.cells(
        buckets.since - length, buckets.until, list(_TITLES)
    ):
        for key, count in counts.items():
            if _is_chosen(key, filters):
                hours[dimension][key].append((hour, count))
    return Shown([_table(one, hours[one], buckets, filters) for one in _TITLES])


def _is_chosen(key: str, filters: Filters) -> bool:
    """Return whether a reason has the author and the word of the filters."""
    by, _, reason = key.rpartition(" ")
    return filters.plugin in ("", by) and filters.reason in ("", reason)


def _table(
    dimension: str,
    hours: dict[str, list[tuple[int, float]]],
    buckets: Buckets,
    filters: Filters,
) -> Table:
    now: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for key, found in hours.items():
        for hour, count in found:
            (now if hour >= buckets.since else before)[key] += round(count)
    total = max(now.total(), 1)
    rows = []
    for key in sorted(now | before, key=lambda one: (-now[one], -before[one], one))[:MOST]:
        by, _, reason = key.rpartition(" ")
        trend = " ".join(f"{one:g}" for one in buckets.sums(hours[key]))
        values = (
            reason or "-",
            by or "-",
            now[key],
            now[key] - before[key],
            now[key] / total,
            trend,
        )
        rows.append(Row(values, filters.url("/find", reason=reason, plugin=by)))
    more = len(now | before) - len(rows)
    note = _note(more, buckets)
    return Table(dimension, _TITLES[dimension], COLUMNS, rows, _EMPTY[dimension], note)


def _note(more: int, buckets: Buckets) -> str:
    notes: Sequence[str] = [
        f"{more:,} rarer reasons are not shown." if more > 0 else "",
        "The change is that to the same time before.",
        f"The trend has a point for each {buckets.unit}.",
    ]
    return " ".join(filter(None, notes))
