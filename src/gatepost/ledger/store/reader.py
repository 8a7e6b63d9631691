"""Queries of the ledger, also while another process writes it.

Records come in the order in which they were written, or in the reverse order. A query opens one
segment at a time and closes it before it opens the next. A segment that retention removes meanwhile
is read to its end. A segment that cannot be read is skipped; `problems` has the reason.

No transaction stays open between two records: a slow consumer does not make the writer's WAL grow.

A reader with a limit of time raises `QueryTimeoutError` when it is over, also in a query that finds
nothing.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from gatepost.ledger.hashes import hash_of
from gatepost.ledger.matching import matcher
from gatepost.ledger.position import FIRST, Position
from gatepost.ledger.records import Record, RecordError, decode
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import files, schema
from gatepost.ledger.store.cells import (
    KEEPERS,
    CellCache,
    HourlyCounts,
    Sums,
    stored_cells,
    times_of,
)
from gatepost.ledger.store.chunk import split
from gatepost.ledger.store.errors import LedgerError, QueryTimeoutError
from gatepost.ledger.store.files import File, identity_of
from gatepost.ledger.store.query import END, ORDERS, Order, Row, query_of, with_any
from gatepost.ledger.store.segment import connect, facts_of, last_of
from gatepost.ledger.totals import Sum, Totals, hour_of
from gatepost.log.os_error import describe_os_error

# Records after which one call of `follow` returns.
MAX_NEWS = 10_000
# Instructions of SQLite between two looks at the time: less than a millisecond.
STEPS = 20_000
MAX_PROBLEMS = 100
# After the last hour that is counted.
END_OF_TIME = 1e12

_NEWS = "SELECT id, records FROM chunk WHERE id > ? ORDER BY id LIMIT ?"

T = TypeVar("T")
# What is kept of a segment, one of KEEPERS, and of which dimension.
Kept = tuple[str, str]
# The number of the last of some records, and the records.
News = tuple[int, list[msgspec.Raw]]


class Placed(NamedTuple):
    """A record and its own place."""

    place: Position
    record: Record


def _never() -> bool:
    return False


class LedgerReader:
    """Reads the ledger in a folder; raises `LedgerError` if there is none.

    `problems` are the segments that were skipped, each with the reason. `is_over` returns whether
    the time of a query is over; it is called often. `cache` has the counts that other readers of
    the folder have kept.
    """

    def __init__(
        self,
        folder: Path,
        is_over: Callable[[], bool] = _never,
        cache: CellCache | None = None,
    ) -> None:
        self.problems: list[str] = []
        self._cache = cache or CellCache()
        self._is_over = is_over
        self._newest = 0
        self._folder = folder
        if not folder.is_dir():
            raise LedgerError(f"{folder}: no ledger: expected the folder of a server that records")
        self.segments()

    def find(self, key: Key, limit: int = 100) -> list[Record]:
        """Return the records that have a key, the newest first."""
        return list(self.select(Selection(keys=[key]), limit=limit))

    def select(
        self, selection: Selection, *, limit: int | None = None, oldest_first: bool = False
    ) -> Iterator[Record]:
        """Yield the records of a selection, the newest first unless `oldest_first`."""
        found = self._select(selection, ORDERS[oldest_first], Place())
        return islice((one.record for one in found), limit)

    def placed(self, selection: Selection, at: "Place") -> Iterator[Placed]:
        """Yield the records of a selection that are before a place, the newest first.

        The place moves with the search, also over records that are not selected.
        """
        return self._select(selection, ORDERS[False], at)

    def related(self, key: Key) -> Iterator[Record]:
        """Yield the records with the hash of a key, the newest first.

        Those of a reference are of its connection, its transactions and their deliveries. Others
        can have the same hash.
        """
        query = partial(with_any, keys=[hash_of(key)], after=0, order=ORDERS[False])
        for file in reversed(self.segments()):
            for _, octets in self._rows(file, query):
                record = None if octets is None else self._decoded(file, octets)
                if record is not None:
                    yield record

    def follow(self, selection: Selection, after: Position | None = None) -> "Follower":
        """Return a function whose calls return what is new since the last, the oldest first.

        The first call returns what was written after the position, None for now. A call that has
        read MAX_NEWS records leaves the others to the next call.
        """
        return Follower(self, selection, after)

    def totals(self, since: float, until: float) -> Totals:
        """Return the counts of the hours from `since` to `until`, in seconds since 1970.

        An `until` of 0 is no limit.
        """
        total = Sum(since, until)
        for cell in self.cells(total.since, total.until):
            total.add(*cell)
        return total.totals()

    def cells(
        self, since: float, until: float, dimensions: Sequence[str] = ()
    ) -> Iterator[HourlyCounts]:
        """Yield the counts of the hours that start from `since` on and before `until`.

        A cell is the start of an hour, a dimension, its counts by key and its rest. `dimensions`
        are those to read, all by default. An hour comes once for each segment that has it.
        """
        for file in self._segments_of(since, until):
            if not dimensions or not self.is_sealed(file):
                yield from self._cells(file, since, until, dimensions)
                continue
            kept = self._kept(file, [("cells", dimension) for dimension in dimensions])
            for cell in chain.from_iterable(kept):
                if since <= cell[0] < until:
                    yield cell

    def sums(self, since: float, until: float, dimension: str) -> Sums:
        """Return the sums of the counts that `cells` yields for a dimension."""
        files = list(self._segments_of(since, until))
        whole = [file for file in files if self._is_between(file, since, until)]
        total = self._kept_total(whole, dimension).copy()
        for file in files:
            if file not in whole:
                for hour, _, counts, _ in self._cells(file, since, until, [dimension]):
                    total.add(hour, dimension, counts)
        return total

    def _kept_total(self, files: Sequence[File], dimension: str) -> Sums:
        """Return the sums of sealed segments: a period has the same ones for hours."""
        key = ("total", dimension, *((one.number, identity_of(one.path)) for one in files))
        found: Sums | None = self._cache.get(key)
        if found is None:
            problems = len(self.problems)
            found = Sums({}, {}, {})
            for file in files:
                found.add_sums(*self._kept(file, [("sums", dimension)]))
            if len(self.problems) == problems:
                self._cache.put(key, len(found.counts), found)
        return found

    def _is_between(self, file: File, since: float, until: float) -> bool:
        """Return whether a segment is sealed, and all its hours are in a period."""
        if not self.is_sealed(file):
            return False
        first, last = self._hours_of(file)
        return 0 < first >= since and 0 < last < until

    def _hours_of(self, file: File) -> tuple[int, int]:
        """Return the first and the last hour of a segment, 0 without one."""
        times = self.fact(file, "times", times_of)
        return (0, 0) if times is None else (hour_of(times.oldest), hour_of(times.newest))

    def keep(self, file: File, cells: Iterable[str], sums: Iterable[str]) -> None:
        """Read what `cells` and `sums` keep of a segment for some dimensions."""
        if self.is_sealed(file):
            self._kept(file, [*(("cells", one) for one in cells), *(("sums", one) for one in sums)])
            return
        for _ in self._cells(file, END_OF_TIME, END_OF_TIME, []):
            pass

    def _segments_of(self, since: float, until: float) -> Iterator[File]:
        """Yield the segments that can have hours from `since` on and before `until`."""
        for file in self.segments():
            first, last = self._hours_of(file)
            # An hour of 0 has the records whose times cannot be.
            if not first or not last or (first < until and last >= since):
                yield file

    def fact(
        self, file: File, name: str, query: Callable[[sqlite3.Connection], Iterator[T]]
    ) -> T | None:
        """Return the first result of a query, None without any; of a sealed segment it is kept."""
        if not self.is_sealed(file):
            return next(self.read(file, query), None)
        key = (file.number, identity_of(file.path), "fact", name)
        found: T | None = self._cache.get(key)
        if found is None:
            found = next(self.read(file, query), None)
            if found is not None:
                self._cache.put(key, 1, found)
        return found

    def _kept(self, file: File, chosen: Sequence[Kept]) -> list[Any]:
        """Return what is kept of a sealed segment; all that is missing is read in one query."""
        identity = identity_of(file.path)
        keys = [(file.number, identity, *one) for one in chosen]
        found = [self._cache.get(key) for key in keys]
        missing = {one for one, value in zip(chosen, found, strict=True) if value is None}
        if not missing:
            return found
        problems = len(self.problems)
        loaded = self._load(file, missing)
        if len(self.problems) == problems:  # otherwise something can be lacking
            for one, (size, value) in loaded.items():
                self._cache.put((file.number, identity, *one), size, value)
        return [
            loaded[one][1] if value is None else value
            for one, value in zip(chosen, found, strict=True)
        ]

    def _load(self, file: File, chosen: Collection[Kept]) -> dict[Kept, tuple[int, Any]]:
        """Return the chosen values of a segment, each with its number of keys."""
        by_dimension: dict[str, list[HourlyCounts]] = {name: [] for _, name in chosen}
        for cell in self._cells(file, 0, END_OF_TIME, list(by_dimension)):
            by_dimension[cell[1]].append(cell)
        return {(kind, name): KEEPERS[kind](by_dimension[name]) for kind, name in chosen}

    def _cells(
        self, file: File, since: float, until: float, dimensions: Sequence[str]
    ) -> Iterator[HourlyCounts]:
        """Yield the counts of a segment, those of records that are not counted yet included."""

        def query(connection: sqlite3.Connection) -> Iterator[HourlyCounts]:
            # A checkpoint of the writer must not fall between the queries.
            connection.execute("BEGIN")
            yield from stored_cells(connection, since, until, dimensions)
            yield from self._cache.uncounted.cells(connection, file.number, dimensions)

        for cell in self.read(file, query):
            if since <= cell[0] < until:
                yield cell

    def extent(self) -> tuple[int, float]:
        """Return the number of records, and the time of the oldest, 0 without any."""
        facts = [facts_of(file.path) for file in self.segments()]
        oldest = min((one.oldest for one in facts if one.oldest is not None), default=0.0)
        return sum(one.records for one in facts), oldest

    def close(self) -> None:
        """Release the ledger; nothing stays open between two queries."""

    def segments(self) -> list[File]:
        """Return the segments, the oldest first; raises `LedgerError`."""
        try:
            found = files.segments(self._folder)
        except OSError as error:
            raise LedgerError(f"ledger: {describe_os_error(error)}") from error
        self._newest = found[-1].number if found else 0
        return found

    def read(self, file: File, query: Callable[[sqlite3.Connection], Iterator[T]]) -> Iterator[T]:
        """Yield the results of a query of a segment; a segment that cannot be read has no more."""
        self._check_time()
        try:
            with closing(connect(file.path, self._mode(file))) as connection:
                schema.check_version(connection, str(file.path))
                if schema.version_of(connection) == 0:
                    return  # the writer has just created the file
                connection.set_progress_handler(self._is_over, STEPS)
                for one in query(connection):
                    self._check_time()
                    yield one
        except (sqlite3.Error, LedgerError) as error:
            self._check_time()
            if file.path.exists():  # otherwise it was removed or set aside meanwhile
                self._skip(file, error)

    def _check_time(self) -> None:
        if self._is_over():
            raise QueryTimeoutError

    def decoded(self, file: File, rows: Iterable[msgspec.Raw]) -> Iterator[Record]:
        """Yield records; one that cannot be read is skipped."""
        for octets in rows:
            record = self._decoded(file, octets)
            if record is not None:
                yield record

    def _decoded(self, file: File, octets: msgspec.Raw) -> Record | None:
        try:
            return decode(octets)
        except RecordError as error:
            self._skip(file, error)
            return None

    def _select(self, selection: Selection, order: Order, at: "Place") -> Iterator[Placed]:
        test, last = matcher(selection), at.before
        for file in order.sort(self.segments()):
            if file.number > last.segment:
                continue
            end = last.record if file.number == last.segment else END
            for place, octets in self._rows(file, query_of(selection, order, end)):
                at.before = min(at.before, place)
                record = None if octets is None else self._decoded(file, octets)
                if record is not None and test(record):
                    yield Placed(place, record)
            at.before = min(at.before, Position(file.number, 0))

    def _rows(
        self, file: File, query: Callable[[sqlite3.Connection], Iterator[Row]]
    ) -> Iterator[tuple[Position, msgspec.Raw | None]]:
        for number, octets in self.read(file, query):
            yield Position(file.number, number), octets

    def _mode(self, file: File) -> str:
        """Return how to open a segment: one with a WAL, or the newest, can change."""
        return "sealed" if self.is_sealed(file) else "ro"

    def is_sealed(self, file: File) -> bool:
        """Return whether a segment is not written any more."""
        return file.number < self._newest and not files.has_wal(file.path)

    def _skip(self, file: File, error: Exception) -> None:
        problem = str(error) if isinstance(error, LedgerError) else f"{file.path}: {error}"
        if problem not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


class Place:
    """The place that a search has reached: the records before it are not read yet."""

    def __init__(self, before: Position = FIRST) -> None:
        self.before = before


class Piece(NamedTuple):
    """Some records that follow each other, and the position after them."""

    position: Position
    records: list[Record]


class Follower:
    """A reader that follows; records that retention has removed before a call are left out.

    `position` is the place after the last call. A position of another ledger, whose segments are
    newer than all of this one, counts as now. A call returns what is new as a list, `pieces` as
    pieces, after each of which another follower can continue.
    """

    def __init__(
        self, reader: LedgerReader, selection: Selection, after: Position | None = None
    ) -> None:
        self._reader = reader
        self._test = matcher(selection)
        self.position = Position(0, 0)
        for file in reader.segments()[-1:]:
            self.position = Position(file.number, next(reader.read(file, _last), 0))
        if after is not None:
            self.position = min(self.position, after)

    def __call__(self) -> list[Record]:
        """Return what is new, the oldest first."""
        return [record for piece in self.pieces(MAX_NEWS) for record in piece.records]

    def pieces(self, limit: int) -> list[Piece]:
        """Return what is new, the oldest first.

        A call that has read `limit` records leaves the others to the next call.
        """
        found: list[Piece] = []
        for file in self._reader.segments():
            if file.number >= self.position.segment and limit > 0:
                for rows in self._read(file, limit):
                    limit -= len(rows)
                    records = filter(self._test, self._reader.decoded(file, rows))
                    found.append(Piece(self.position, list(records)))
        return found

    def missed(self) -> int | None:
        """Return the number of records that are new; None if retention has removed some of them."""
        segments = self._reader.segments()
        if segments and 0 < self.position.segment < segments[0].number:
            return None
        newer = [file for file in segments if file.number >= self.position.segment]
        count = sum(next(self._reader.read(file, _last), 0) for file in newer)
        is_in_first = bool(newer) and newer[0].number == self.position.segment
        return max(0, count - self.position.record if is_in_first else count)

    def _read(self, file: File, limit: int) -> Iterator[list[msgspec.Raw]]:
        """Yield records of a segment; `position` is the place after them."""
        last = self.position.record if file.number == self.position.segment else 0
        self.position = Position(file.number, last)
        for number, records in self._reader.read(file, partial(_after, last=last, limit=limit)):
            self.position = Position(file.number, number)
            yield records


def _last(connection: sqlite3.Connection) -> Iterator[int]:
    yield last_of(connection)


def _after(connection: sqlite3.Connection, last: int, limit: int) -> Iterator[News]:
    for first, octets in connection.execute(_NEWS, (last, limit)):
        records = split(octets)
        yield first + len(records) - 1, records
        limit -= len(records)
        if limit <= 0:
            return
