"""A segment that is open for writing.

Records, the tail of the index and the times are written in one transaction. `checkpoint` turns the
tail into a run and adds the counts of the records since the last checkpoint to the table `total`,
in one transaction too; so at any time the counts are those of the records up to `meta.counted`, and
a reader counts the others itself.

SQLite's WAL keeps a commit when the process is killed. A power cut can lose the last commits.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost.ledger import totals
from gatepost.ledger.hashes import hashes_of
from gatepost.ledger.kept import Kept, kept_of
from gatepost.ledger.store import chunk, index, schema
from gatepost.ledger.tally import Tally
from gatepost.ledger.totals import KEPT, KEPT_NOW, Counts

# Octets of the page cache, and pages in the WAL before they are copied to the file.
_CACHE = 4 << 20
_WAL_PAGES = 2000
PAGE = 4096
# Seconds that a statement waits for the lock of an administrator's command.
_WAIT = 1.0

_MODES = {"rw": "mode=rw", "ro": "mode=ro", "sealed": "mode=ro&immutable=1"}

_LAST = "SELECT id + length(letters) - 1 FROM chunk ORDER BY id DESC LIMIT 1"
_STATE = "SELECT counted, began FROM meta"
_COMMITTED = (
    "UPDATE meta SET written = ?1, began = ifnull(nullif(began, 0), ?1), positions = ?2,"
    " oldest = min(ifnull(oldest, ?3), ifnull(?3, oldest)),"
    " newest = max(ifnull(newest, ?4), ifnull(?4, newest))"
)
_CELL = "SELECT counts, rest FROM total WHERE hour = ? AND dimension = ?"
_WRITE_CELL = "INSERT OR REPLACE INTO total VALUES (?, ?, ?, ?, ?)"
_OVER = "SELECT hour, dimension FROM total WHERE hour < ? AND keys > ?"

_decode_counts = msgspec.json.Decoder(dict[str, int | float]).decode
_encode_counts = msgspec.json.Encoder().encode


class Limits(NamedTuple):
    """The records, octets and seconds that a segment has at most, except for its last commit."""

    records: int
    octets: int
    seconds: float


class Facts(NamedTuple):
    """The number of records of a segment, and the time of the oldest."""

    records: int
    oldest: float | None


class Segment:
    """A file at `path`, which must exist.

    `records` is the number of its records, `positions` what the last `write` was given.

    Raises sqlite3.Error, and `LedgerError` if a later version of the program wrote it.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        self._connection = connect(path, "rw")
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        connection = self._connection
        connection.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
        schema.check_version(connection, str(self.path))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        pages = max(1, min(_WAL_PAGES, self._limits.octets // 2 // PAGE))
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        connection.execute(f"PRAGMA journal_size_limit = {pages * PAGE}")
        schema.upgrade(connection)
        self.records = last_of(connection)
        self._counted, self._began = connection.execute(_STATE).fetchone()
        self._tally = tally_after(connection, self._counted)
        (positions,) = connection.execute("SELECT positions FROM meta").fetchone()
        self.positions = {one: int(number) for one, number in read_counts(positions).items()}

    @property
    def unindexed(self) -> int:
        """The number of records since the last checkpoint."""
        return int(self.records - self._counted)

    def is_full(self, now: float) -> bool:
        """Return whether a limit is reached; an empty segment is never full. Raises sqlite3.Error.

        The time since the first commit has a limit because a segment is removed as a whole: its
        oldest records must not stay much longer than the newest.
        """
        if not self.records:
            return False
        if now - self._began >= self._limits.seconds:
            return True
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        return self.records >= self._limits.records or int(pages) * PAGE >= self._limits.octets

    def write(self, kept: Kept, now: float, positions: Mapping[str, int]) -> None:
        """Write records, possibly none; all or nothing. Raises sqlite3.Error."""
        first = self.records + 1
        rows = list(chunk.rows_of(kept, first))
        entries = index.entries_of(first, [hashes_of(one) for one in kept.extracts])
        oldest = min((row.oldest for row in rows), default=None)
        newest = max((row.newest for row in rows), default=None)
        with self._transaction() as connection:
            connection.execute(_COMMITTED, (now, json.dumps(positions), oldest, newest))
            if rows:
                connection.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", rows)
                connection.execute("INSERT INTO tail VALUES (?, ?)", (first, entries))
        self._began = self._began or now
        self.records += len(kept.bodies)
        self._tally.add(kept.extracts, kept.shapes)

    def checkpoint(self, now: float) -> None:
        """Index and count the records since the last checkpoint. Raises sqlite3.Error."""
        with self._transaction() as connection:
            index.write_run(connection)
            for (hour, dimension), counts in self._tally.cells():
                _add_cell(connection, hour, dimension, counts)
            _prune_hours(connection, totals.hour_of(now))
            connection.execute("UPDATE meta SET counted = ?", (self.records,))
        self._counted = self.records
        self._tally = Tally()

    def seal(self, now: float) -> None:
        """Finish the segment: no more records will be written. Raises sqlite3.Error."""
        self.checkpoint(now)
        # Without a WAL a reader opens the file in half the time. It stays if a reader has it open.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Connect to an existing file. Raises sqlite3.Error.

    `mode` is "rw" to write, "ro" to read, "sealed" to read a file that does not change any more;
    it needs no locks, which take half of the time to open a file.
    """
    uri = f"{path.absolute().as_uri()}?{_MODES[mode]}"
    return sqlite3.connect(
        uri, uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False
    )


def tally_after(connection: sqlite3.Connection, counted: int) -> Tally:
    """Return the counts of the records after `counted`. Raises sqlite3.Error."""
    tally = Tally()
    for (octets,) in connection.execute("SELECT records FROM chunk WHERE id > ?", (counted,)):
        kept = kept_of(chunk.split(octets))
        tally.add(kept.extracts, kept.shapes)
    return tally


def last_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last record, 0 without any. Raises sqlite3.Error."""
    row = connection.execute(_LAST).fetchone()
    return int(row[0]) if row else 0


def read_counts(text: str) -> Counts:
    """Return the counts of a cell; raises sqlite3.DatabaseError if they are damaged."""
    try:
        counts: Counts = _decode_counts(text)
    except (msgspec.MsgspecError, TypeError) as error:
        raise sqlite3.DatabaseError(f"table total: {error}") from error
    return counts


def facts_of(path: Path) -> Facts:
    """Return what can be read of a corrupt segment."""
    with suppress(sqlite3.Error), closing(connect(path, "ro")) as connection:
        records = last_of(connection)
        (oldest,) = connection.execute("SELECT oldest FROM meta").fetchone()
        return Facts(records, oldest)
    return Facts(0, None)


def _add_cell(connection: sqlite3.Connection, hour: int, dimension: str, counts: Counts) -> None:
    row = connection.execute(_CELL, (hour, dimension)).fetchone()
    merged, rest = (read_counts(row[0]), row[1]) if row else ({}, 0)
    totals.add_to(merged, counts)
    _write_cell(connection, (hour, dimension), merged, rest, KEPT_NOW)


def _prune_hours(connection: sqlite3.Connection, current: int) -> None:
    """Reduce the counts of the hours that are over."""
    for cell in connection.execute(_OVER, (current, KEPT)).fetchall():
        counts, rest = connection.execute(_CELL, cell).fetchone()
        _write_cell(connection, cell, read_counts(counts), rest, KEPT)


def _write_cell(
    connection: sqlite3.Connection, cell: totals.Cell, counts: Counts, rest: float, kept: int
) -> None:
    pruned = totals.prune(counts, kept)
    text = _encode_counts(pruned.counts).decode()
    row = (*cell, text, len(pruned.counts), rest + pruned.rest)
    connection.execute(_WRITE_CELL, row)
