"""The view Traps: which are hit, by which networks, and how fresh the hits are."""

from collections import Counter
from typing import NamedTuple

from gatepost.ledger.keys import network_of
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.tally import name_of
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.periods import Buckets
from gatepost.web.views.view import Shown

TOP = 100
# Messages that are read for networks and last hits.
MOST_READ = 50_000
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


class _Recent(NamedTuple):
    """The last messages with traps: hits by network and the last hit, by trap and network."""

    networks: Counter[str]
    last: dict[str, float]
    is_complete: bool


def query(source: Source, filters: Filters) -> Shown:
    """Return the hits of a period; raises `LedgerError`."""
    buckets = Buckets(filters.since, filters.until, filters.tz)
    traps: Counter[str] = Counter()
    hours: Counter[int] = Counter()
    for hour, _, counts in source.ledger.cells(buckets.since, buckets.until, ["trap"]):
        for key, count in counts.items():
            if not _is_chosen(key, filters):
                continue
            traps[key] += round(count)
            hours[hour] += round(count)
    recent = _recent(source, filters)
    hits = buckets.sums(hours.items())
    tables = [_top(traps, recent), _networks(recent), _over_time(buckets, hits)]
    facts = {
        "total": traps.total(),
        "traps": len(traps),
        "networks": len(recent.networks),
        "is_complete": recent.is_complete,
        "heat": _heat(hours, buckets),
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


def _recent(source: Source, filters: Filters) -> _Recent:
    """Return the hits of the last messages; all messages of a long period take too long."""
    selection = Selection(since=filters.since, until=filters.until, kinds=["transaction"])
    records, is_complete = source.first(selection, MOST_READ)
    networks: Counter[str] = Counter()
    last: dict[str, float] = {}
    for record in records:
        if not isinstance(record, Transaction) or not record.traps:
            continue
        names = [one for one in map(name_of, record.traps) if _is_chosen(one, filters)]
        if not names:
            continue
        network = network_of(record.client.address) or record.client.address
        networks[network] += len(names)
        for name in (network, *names):
            last[name] = max(last.get(name, 0.0), record.time)
    return _Recent(networks, last, is_complete)


def _is_chosen(key: str, filters: Filters) -> bool:
    """Return whether a trap is the address of the filter, or in its domain."""
    entry = key.rpartition(" ")[2].lower()
    chosen = filters.to.lower()
    return not chosen or chosen in (entry, entry.rpartition("@")[2])


def _top(traps: Counter[str], recent: _Recent) -> Table:
    columns = (
        Column("trap", "Trap", "address"),
        Column("list", "List"),
        Column("hits", "Hits", "count"),
        Column("last", "Last hit", "time"),
    )
    rows = []
    for key, count in traps.most_common(TOP):
        place, _, entry = key.rpartition(" ")
        rows.append(Row((entry or key, place or "-", count, recent.last.get(key, 0.0))))
    return Table("traps", "Traps that were hit", columns, rows, EMPTY)


def _networks(recent: _Recent) -> Table:
    columns = (
        Column("network", "Network", "client"),
        Column("hits", "Hits", "count"),
        Column("last", "Last hit", "time"),
    )
    rows = [
        Row((name, count, recent.last[name])) for name, count in recent.networks.most_common(TOP)
    ]
    note = "" if recent.is_complete else "Only the last messages of the period were read."
    return Table("networks", "Networks that hit traps", columns, rows, EMPTY, note)


def _over_time(buckets: Buckets, hits: list[float]) -> Table:
    columns = (
        Column("time", buckets.unit.capitalize(), "hour" if buckets.is_hourly else "day"),
        Column("hits", "Hits", "count"),
    )
    rows = [Row(one) for one in zip(buckets.starts, hits, strict=True)][::-1]
    return Table("hits", f"Hits per {buckets.unit}", columns, rows, EMPTY)


def _heat(hours: Counter[int], buckets: Buckets) -> list[list[Cell]]:
    """Return the cells of each weekday, by hour."""
    found: Counter[tuple[int, int]] = Counter()
    for hour, count in hours.items():
        local = buckets.local(hour)
        found[local.weekday(), local.hour] += count
    most = max(found.values(), default=0)
    return [[_cell(found[day, hour], most) for hour in range(24)] for day in range(7)]


def _cell(hits: int, most: int) -> Cell:
    return Cell(hits, -(-hits * LEVELS // most) if hits else 0)
