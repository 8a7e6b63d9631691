"""The counts of segments, kept between the queries of one process.

A segment that is not written any more keeps its counts. Of the newest one, the records that its
totals do not have yet are counted once: the next query counts those that have come since.

Limits: MOST keys of segments are kept, those that were used last. Threads take turns for the
records that are not counted yet.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from sys import intern
from threading import Lock
from typing import Any, Final, NamedTuple, Self

from gatepost.ledger.kept import kept_of
from gatepost.ledger.store.chunk import split
from gatepost.ledger.store.segment import read_counts
from gatepost.ledger.tally import Tally
from gatepost.ledger.totals import Counts, add_to

# About 60 octets each.
MOST: Final = 1_000_000
# The dimensions of which pages show the last hour of a key.
WITH_LAST: Final = frozenset({"trap", "trap_network"})

_COUNTED = "SELECT counted FROM meta"
_CELLS = "SELECT hour, dimension, counts, rest FROM total WHERE hour >= ? AND hour < ?"
_OF_DIMENSIONS = " AND dimension IN (SELECT value FROM json_each(?))"
_AFTER = "SELECT id, records FROM chunk WHERE id > ? ORDER BY id"

HourlyCounts = tuple[int, str, Counts, float]
Key = tuple[Hashable, ...]


class Sums(NamedTuple):
    """The sums of a dimension: by key, and of all keys by hour.

    `last` is the last hour of a key, if the dimension is one of WITH_LAST.
    """

    counts: Counts
    hours: dict[int, float]
    last: dict[str, int]

    def add(self, hour: int, dimension: str, counts: Counts) -> None:
        """Add the counts of an hour."""
        add_to(self.counts, counts)
        self.hours[hour] = self.hours.get(hour, 0) + sum(counts.values())
        if dimension in WITH_LAST:
            for key in counts:
                self.last[key] = max(hour, self.last.get(key, 0))

    def add_sums(self, more: Self) -> None:
        """Add those of another segment."""
        add_to(self.counts, more.counts)
        for hour, number in more.hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + number
        for key, hour in more.last.items():
            self.last[key] = max(hour, self.last.get(key, 0))

    def copy(self) -> Self:
        """Return sums to which others can be added."""
        return self._replace(
            counts=self.counts.copy(), hours=self.hours.copy(), last=self.last.copy()
        )


class Uncounted:
    """The counts of the records of a segment that its totals do not have yet."""

    def __init__(self) -> None:
        self._of = (0, 0)
        self._last = 0
        self._tally = Tally()
        self._lock = Lock()

    def cells(
        self, connection: sqlite3.Connection, segment: int, dimensions: Sequence[str]
    ) -> list[HourlyCounts]:
        """Return the counts within a transaction of the caller. Raises sqlite3.Error."""
        (counted,) = connection.execute(_COUNTED).fetchone()
        with self._lock:
            is_known = self._of == (segment, counted)
            rows = connection.execute(_AFTER, (self._last if is_known else counted,))
            row = rows.fetchone()
            if row is None and not is_known:
                return []  # those of another segment are not dropped for it
            if not is_known:
                self._of, self._last, self._tally = (segment, counted), counted, Tally()
            while row is not None:
                self._add(*row)
                row = rows.fetchone()
            return [
                (hour, dimension, dict(counts), 0)
                for (hour, dimension), counts in self._tally.cells()
                if not dimensions or dimension in dimensions
            ]

    def _add(self, first: int, octets: bytes) -> None:
        records = split(octets)
        kept = kept_of(records)
        self._tally.add(kept.extracts, kept.shapes)
        self._last = first + len(records) - 1


class CellCache:
    """The counts of segments by key, which names a segment and what is kept of it."""

    def __init__(self, most: int = MOST) -> None:
        self.uncounted = Uncounted()
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Key, tuple[int, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Any:
        """Return what is kept, None without it."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def put(self, key: Key, size: int, value: Any) -> None:
        """Keep a value with a number of keys, and drop those that were not used for longest."""
        with self._lock:
            self._size += size - self._kept.pop(key, (0, None))[0]
            self._kept[key] = (size, value)
            while self._size > self._most:
                _, (dropped, _) = self._kept.popitem(last=False)
                self._size -= dropped


class Times(NamedTuple):
    """The times of the oldest and the newest record of a segment."""

    oldest: float
    newest: float


def times_of(connection: sqlite3.Connection) -> Iterator[Times]:
    """Yield the times of a segment, nothing without records."""
    oldest, newest = connection.execute("SELECT oldest, newest FROM meta").fetchone()
    if oldest is not None:
        yield Times(oldest, newest)


def stored_cells(
    connection: sqlite3.Connection, since: float, until: float, dimensions: Sequence[str]
) -> Iterator[HourlyCounts]:
    """Yield the counts of a segment that its totals have, of all dimensions without any."""
    statement = _CELLS
    values: list[float | str] = [since, until]
    if dimensions:
        statement += _OF_DIMENSIONS
        values.append(json.dumps(dimensions))
    for hour, dimension, counts, rest in connection.execute(statement, values).fetchall():
        yield hour, dimension, read_counts(counts), rest


def _cells_of(cells: Sequence[HourlyCounts]) -> tuple[int, Sequence[HourlyCounts]]:
    return sum(len(counts) for _, _, counts, _ in cells), cells


def _sums_of(cells: Sequence[HourlyCounts]) -> tuple[int, Sums]:
    sums = Sums({}, {}, {})
    for hour, dimension, counts, _ in cells:
        # Segments have most keys in common.
        sums.add(hour, dimension, {intern(key): number for key, number in counts.items()})
    return len(sums.counts), sums


# What is kept of the cells of a dimension, with its number of keys: the cells, or their sums.
KEEPERS: Final[Mapping[str, Callable[[Sequence[HourlyCounts]], tuple[int, Any]]]] = {
    "cells": _cells_of,
    "sums": _sums_of,
}
