"""The view Traps: which are hit, by which networks, and how fresh the hits are."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from gatepost.ledger.store.cells import Sums
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.counting import counted_note
from gatepost.web.views.periods import Buckets
from gatepost.web.views.view import Shown

TOP = 100
LAST = Column("last", "Last hit, hour", "hour")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Shades of the heat map, without that of zero.
LEVELS = 5
EMPTY = (
    "No trap was hit in this period. Traps are in the lists of [traps], or registered by"
    " `gatepost traps add`."
)


class Cell(NamedTuple):
    """An hour of a weekday: its hits, and the level of its shade."""

    hits: int
    level: int


def query(source: Source, filters: Filters) -> Shown:
    """Return the hits of a period; raises `LedgerError`."""
    buckets = Buckets(filters.since, filters.until, filters.tz)
    traps = _traps(source, buckets, filters)
    networks = source.ledger.sums(buckets.since, buckets.until, "trap_network")
    hits = buckets.sums(traps.hours.items())
    total = round(sum(traps.hours.values()))
    note = counted_note(source, filters)
    tables = [_top(traps, note), _over_time(buckets, hits, note)]
    if not filters.to:
        tables.insert(1, _networks(networks, total, note))
    facts = {
        "total": total,
        "traps": len(traps.counts),
        "networks": len(networks.counts),
        "heat": _heat(traps.hours, buckets),
        "days": DAYS,
        "chart": {
            "times": buckets.starts,
            "unit": buckets.unit,
            "zone": filters.zone,
            "series": [["refused", "Trap hits", hits]],
            "lines": [],
            "marks": [],
        },
    }
    return Shown(tables, facts)


def _traps(source: Source, buckets: Buckets, filters: Filters) -> Sums:
    """Return the hits of all traps, or of those of the filter."""
    if not filters.to:
        return source.ledger.sums(buckets.since, buckets.until, "trap")
    found = Sums({}, {}, {})
    for hour, dimension, counts in source.ledger.cells(buckets.since, buckets.until, ["trap"]):
        chosen = {key: count for key, count in counts.items() if _is_chosen(key, filters.to)}
        found.add(hour, dimension, chosen)
    return found


def _is_chosen(key: str, to: str) -> bool:
    """Return whether a trap is an address, or in a domain."""
    entry = key.rpartition(" ")[2].lower()
    return to.lower() in (entry, entry.rpartition("@")[2])


def _top(traps: Sums, note: str) -> Table:
    columns = (
        Column("trap", "Trap", "address"),
        Column("list", "List"),
        Column("hits", "Hits", "count"),
        LAST,
    )
    rows = []
    for key, count in _most(traps):
        place, _, entry = key.rpartition(" ")
        rows.append(Row((entry or key, place or "-", count, traps.last[key])))
    return Table("traps", "Traps that were hit", columns, rows, EMPTY, note)


def _networks(networks: Sums, total: int, note: str) -> Table:
    columns = (
        Column("network", "Network", "client"),
        Column("hits", "Hits", "count"),
        LAST,
    )
    rows = [Row((name, count, networks.last[name])) for name, count in _most(networks)]
    without = total - round(sum(networks.hours.values()))
    older = f"The networks of {without:,} older hits were not counted." if without > 0 else ""
    text = " ".join(filter(None, (older, note)))
    return Table("networks", "Networks that hit traps", columns, rows, EMPTY, text)


def _most(sums: Sums) -> list[tuple[str, int]]:
    counts = Counter({key: round(count) for key, count in sums.counts.items()})
    return counts.most_common(TOP)


def _over_time(buckets: Buckets, hits: list[float], note: str) -> Table:
    columns = (
        Column("time", buckets.unit.capitalize(), "hour" if buckets.is_hourly else "day"),
        Column("hits", "Hits", "count"),
    )
    rows = [Row(one) for one in zip(buckets.starts, hits, strict=True)][::-1]
    return Table("hits", f"Hits per {buckets.unit}", columns, rows, EMPTY, note)


def _heat(hours: Mapping[int, float], buckets: Buckets) -> list[list[Cell]]:
    """Return the cells of each weekday, by hour."""
    found: Counter[tuple[int, int]] = Counter()
    for hour, count in hours.items():
        local = buckets.local(hour)
        found[local.weekday(), local.hour] += round(count)
    most = max(found.values(), default=0)
    return [[_cell(found[day, hour], most) for hour in range(24)] for day in range(7)]


def _cell(hits: int, most: int) -> Cell:
    return Cell(hits, -(-hits * LEVELS // most) if hits else 0)
