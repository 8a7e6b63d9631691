"""Queries of the ledger, also while another process writes it.

Records come in the order in which they were written, or in the reverse order. A query opens one
segment at a time and closes it before it opens the next. A segment that retention removes meanwhile
is read to its end. A segment that cannot be read is skipped; `problems` has the reason.

No transaction stays open between two records: a slow consumer does not make the writer's WAL grow.

A reader with a limit of time raises `QueryTimeoutError` when it is over, also in a query that finds
nothing.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from gatepost.ledger.hashes import hash_of
from gatepost.ledger.matching import best_key, letters_of, matcher
from gatepost.ledger.position import Position
from gatepost.ledger.records import Record, RecordError, decode
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import files, index, schema
from gatepost.ledger.store.chunk import split
from gatepost.ledger.store.errors import LedgerError, QueryTimeoutError
from gatepost.ledger.store.files import File
from gatepost.ledger.store.segment import connect, facts_of, last_of, read_counts, tally_after
from gatepost.ledger.totals import Counts, Sum, Totals
from gatepost.log.os_error import describe_os_error

# Rows that one statement reads, and records after which one call of `follow` returns.
PAGE = 50
MAX_NEWS = 10_000
# Instructions of SQLite between two looks at the time: less than a millisecond.
STEPS = 20_000
MAX_PROBLEMS = 100

_CHUNK_OF = "SELECT id, records FROM chunk WHERE id <= ? ORDER BY id DESC LIMIT 1"
_PAGE = "SELECT id, letters, records FROM chunk WHERE {}{} ORDER BY {} LIMIT ?"
_CELLS = "SELECT hour, dimension, counts, rest FROM total WHERE hour >= ? AND hour < ?"
_OF_DIMENSIONS = " AND dimension IN (SELECT value FROM json_each(?))"
_NEWS = "SELECT id, records FROM chunk WHERE id > ? ORDER BY id LIMIT ?"

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], Iterator[msgspec.Raw]]
# The number of the last of some records, and the records.
News = tuple[int, list[msgspec.Raw]]
HourlyCounts = tuple[int, str, Counts, float]


def _never() -> bool:
    return False


class LedgerReader:
    """Reads the ledger in a folder; raises `LedgerError` if there is none.

    `problems` are the segments that were skipped, each with the reason. `is_over` returns whether
    the time of a query is over; it is called often.
    """

    def __init__(self, folder: Path, is_over: Callable[[], bool] = _never) -> None:
        self.problems: list[str] = []
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
        return islice(self._select(selection, _ORDERS[oldest_first]), limit)

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
        query = partial(_cells, since=since, until=until, dimensions=dimensions)
        for file in self.segments():
            yield from self.read(file, query)

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
            try:
                yield decode(octets)
            except RecordError as error:
                self._skip(file, error)

    def _select(self, selection: Selection, order: "_Order") -> Iterator[Record]:
        query, test = _query(selection, order), matcher(selection)
        for file in order.sort(self.segments()):
            yield from filter(test, self.decoded(file, self.read(file, query)))

    def _mode(self, file: File) -> str:
        """Return how to open a segment: one with a WAL, or the newest, can change."""
        is_sealed = file.number < self._newest and not files.has_wal(file.path)
        return "sealed" if is_sealed else "ro"

    def _skip(self, file: File, error: Exception) -> None:
        problem = str(error) if isinstance(error, LedgerError) else f"{file.path}: {error}"
        if problem not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


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


class _Order(NamedTuple):
    """An order of records. `sort` takes the oldest first; a page begins after the number before."""

    sort: Callable[[list[Any]], Iterator[Any]]
    start: int
    after: str
    by: str


_ORDERS = {
    False: _Order(reversed, index.MAX_RECORDS, "id < ?", "id DESC"),
    True: _Order(iter, -1, "id > ?", "id"),
}


def _query(selection: Selection, order: _Order) -> Query:
    """Return the query of a segment for what may be selected."""
    key = best_key(selection)
    if key is None:
        find: Query = partial(_scan, selection=selection, order=order)
    else:
        find = partial(_look_up, key=hash_of(key), order=order)
    return lambda connection: find(connection) if _overlaps(connection, selection) else iter(())


def _overlaps(connection: sqlite3.Connection, selection: Selection) -> bool:
    """Return whether a segment has records of the time of a selection."""
    oldest, newest = connection.execute("SELECT oldest, newest FROM meta").fetchone()
    if oldest is None:
        return False
    return newest >= selection.since and (not selection.until or oldest < selection.until)


def _look_up(connection: sqlite3.Connection, key: bytes, order: _Order) -> Iterator[msgspec.Raw]:
    newest_first = index.search(connection, key)
    first = 0
    records: list[msgspec.Raw] = []
    for number in newest_first if order.start > 0 else reversed(list(newest_first)):
        if not first <= number < first + len(records):
            first, octets = connection.execute(_CHUNK_OF, (number,)).fetchone()
            records = split(octets)
        yield from records[number - first : number - first + 1]


def _scan(
    connection: sqlite3.Connection, selection: Selection, order: _Order
) -> Iterator[msgspec.Raw]:
    """Yield the records that may be selected by time, kind and result, page by page."""
    letters = letters_of(selection)
    conditions = [*_conditions(selection, letters)]
    more_conditions = "".join(f" AND {condition}" for condition, _ in conditions)
    statement = _PAGE.format(order.after, more_conditions, order.by)
    values = [value for _, value in conditions]
    number = order.start
    while rows := connection.execute(statement, (number, *values, PAGE)).fetchall():
        for _, found, octets in rows:
            together = zip(found, split(octets), strict=False)
            yield from order.sort([record for letter, record in together if letter in letters])
        number = rows[-1][0]


def _conditions(selection: Selection, letters: str) -> Iterator[tuple[str, float | str]]:
    """Yield conditions of SQL, each with its value."""
    if selection.since:
        yield "newest >= ?", selection.since
    if selection.until:
        yield "oldest < ?", selection.until
    if selection.kinds or selection.results:
        yield "letters GLOB ?", f"*[{letters}]*"


def _last(connection: sqlite3.Connection) -> Iterator[int]:
    yield last_of(connection)


def _after(connection: sqlite3.Connection, last: int, limit: int) -> Iterator[News]:
    for first, octets in connection.execute(_NEWS, (last, limit)):
        records = split(octets)
        yield first + len(records) - 1, records
        limit -= len(records)
        if limit <= 0:
            return


def _cells(
    connection: sqlite3.Connection, since: float, until: float, dimensions: Sequence[str]
) -> Iterator[HourlyCounts]:
    """Yield the counts of a segment, those of records that are not counted yet included."""
    connection.execute("BEGIN")  # a checkpoint of the writer must not fall between the queries
    (counted,) = connection.execute("SELECT counted FROM meta").fetchone()
    statement = _CELLS
    values: list[float | str] = [since, until]
    if dimensions:
        statement += _OF_DIMENSIONS
        values.append(json.dumps(dimensions))
    for hour, dimension, counts, rest in connection.execute(statement, values).fetchall():
        yield hour, dimension, read_counts(counts), rest
    for (hour, dimension), found in tally_after(connection, counted).cells():
        if since <= hour < until and (not dimensions or dimension in dimensions):
            yield hour, dimension, found, 0
