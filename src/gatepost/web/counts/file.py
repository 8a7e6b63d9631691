"""The file `web/counts.sqlite` of the data folder: counts of what is visible in each scope.

The totals of the ledger are those of all domains. These are made from the visible records, by
segment: `segment` has the record up to which a segment is counted, `cell` the counts of an hour and
a dimension. The time of its first commit distinguishes a segment from another one with its number.

Counts of another RULES, and a file that is damaged, are made again: they are never the only copy.

Limits: KEPT keys of a cell, as in the ledger.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost.disk.durable import FILE_MODE, ensure_private
from gatepost.ledger.totals import KEPT, Counts, add_to, prune
from gatepost.web.access.entries import FOLDER
from gatepost.web.scope import Scope

NAME = "counts.sqlite"
# Another number when a scope shows something else, or when other dimensions are counted.
RULES = 1
# Seconds that a request waits for the lock.
_WAIT = 0.2

_TABLES = (
    "DROP TABLE IF EXISTS segment",
    "DROP TABLE IF EXISTS cell",
    """CREATE TABLE segment (
        scope TEXT NOT NULL,
        number INTEGER NOT NULL,
        began REAL NOT NULL,
        counted INTEGER NOT NULL,
        whole TEXT NOT NULL,
        PRIMARY KEY (scope, number)
    )""",
    """CREATE TABLE cell (
        scope TEXT NOT NULL,
        dimension TEXT NOT NULL,
        number INTEGER NOT NULL,
        hour INTEGER NOT NULL,
        counts TEXT NOT NULL,
        PRIMARY KEY (scope, dimension, number, hour)
    )""",
    f"PRAGMA user_version = {RULES}",
)
_SEGMENTS = "SELECT number, began, counted, whole FROM segment WHERE scope = ?"
_CELLS = (
    "SELECT number, hour, dimension, counts FROM cell WHERE scope = ?"
    " AND dimension IN (SELECT value FROM json_each(?)) AND hour >= ? AND hour < ?"
    " ORDER BY number, hour"
)
_CELL = "SELECT counts FROM cell WHERE scope = ? AND dimension = ? AND number = ? AND hour = ?"
_SCOPES = "SELECT DISTINCT scope, number FROM segment"
# The tables whose rows have a scope and the number of a segment.
_OF_SEGMENTS = ("segment", "cell")

Cell = tuple[int, str, Counts]
Found = tuple[tuple[int, str], Counts]
_decode = msgspec.json.Decoder(dict[str, int | float]).decode


class Progress(NamedTuple):
    """The progress of a segment: the time of its first commit, and the last counted record.

    `whole` is the identity of the file of a segment that is full and counted, "" for others.
    """

    began: float
    counted: int = 0
    whole: str = ""


class Stored(NamedTuple):
    """The progress of each segment by number, and the cells, each with its segment."""

    progress: Mapping[int, Progress]
    cells: Sequence[tuple[int, Cell]]


class CountsFile:
    """The counts in a data folder."""

    def __init__(self, data: Path) -> None:
        self.path = data / FOLDER / NAME

    def read(
        self, scope: Scope, since: float = 0, until: float = 0, dimensions: Sequence[str] = ()
    ) -> Stored:
        """Return what is counted of a scope between two times; raises sqlite3.Error."""
        if not self.path.exists():
            return Stored({}, [])
        name, chosen = name_of(scope), json.dumps(dimensions)
        with self._transaction("BEGIN") as connection:
            if _version_of(connection) != RULES:
                return Stored({}, [])
            segments = connection.execute(_SEGMENTS, (name,)).fetchall()
            cells = connection.execute(_CELLS, (name, chosen, since, until)).fetchall()
        return Stored(
            {number: Progress(*facts) for number, *facts in segments},
            [(number, (hour, one, _counts(text))) for number, hour, one, text in cells],
        )

    def add(self, scope: Scope, number: int, progress: Progress, cells: Iterable[Found]) -> None:
        """Add counts of a segment; those of another with its number are removed.

        Raises sqlite3.Error and OSError.
        """
        name = name_of(scope)
        with self._changing() as connection:
            known = connection.execute(f"{_SEGMENTS} AND number = ?", (name, number)).fetchone()
            if known is not None and known[1] != progress.began:
                _drop(connection, name, number)
            for (hour, dimension), counts in cells:
                key = (name, dimension, number, hour)
                row = connection.execute(_CELL, key).fetchone()
                merged = _counts(row[0]) if row else {}
                add_to(merged, counts)
                text = msgspec.json.encode(prune(merged, KEPT).counts).decode()
                values = (*key, text)
                connection.execute("INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?, ?)", values)
            row = (name, number, *progress)
            connection.execute("INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?)", row)

    def drop_others(self, scopes: Iterable[Scope], segments: Iterable[int]) -> None:
        """Remove other scopes and other segments; raises sqlite3.Error and OSError."""
        if not self.path.exists():
            return
        names, numbers = set(map(name_of, scopes)), set(segments)
        with self._changing() as connection:
            for name, number in connection.execute(_SCOPES).fetchall():
                if name not in names or number not in numbers:
                    _drop(connection, name, number)

    def remove(self) -> None:
        """Remove a damaged file; raises OSError."""
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(NAME + ending).unlink(missing_ok=True)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Provide a transaction; a file of other RULES is emptied, without one it is created."""
        ensure_private(self.path.parent)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        with self._transaction("BEGIN IMMEDIATE") as connection:
            if _version_of(connection) != RULES:
                for statement in _TABLES:
                    connection.execute(statement)
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT, isolation_level=None)) as one:
            one.execute("PRAGMA journal_mode = WAL")
            one.execute("PRAGMA synchronous = NORMAL")
            one.execute(begin)
            yield one
            one.execute("COMMIT")


def name_of(scope: Scope) -> str:
    """Return the domains of a scope as one text."""
    return " ".join(sorted(scope.domains))


def _version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _drop(connection: sqlite3.Connection, name: str, number: int) -> None:
    for table in _OF_SEGMENTS:
        statement = f"DELETE FROM {table} WHERE scope = ? AND number = ?"  # noqa: S608 - constants
        connection.execute(statement, (name, number))


def _counts(text: str) -> Counts:
    """Return the counts of a cell; raises sqlite3.DatabaseError if they are damaged."""
    try:
        counts: Counts = _decode(text)
    except (msgspec.MsgspecError, TypeError) as error:
        raise sqlite3.DatabaseError(f"table cell: {error}") from error
    return counts
