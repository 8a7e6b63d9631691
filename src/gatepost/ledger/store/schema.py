"""The tables of a segment, and the upgrade of older segments.

`chunk` has the records (`chunk`), `tail` and `block` are the index (`index`). `total` has the
counts of an hour and a dimension as a JSON object, of the records up to `meta.counted`; `keys` is
their number. `meta` is one row: `oldest` and `newest` are times of records, `began` and `written`
those of the first and the last commit, `positions` the number of the next record of each sender as
a JSON object, `program` the version of the program that wrote the segment.
"""

import sqlite3
from collections.abc import Callable, Sequence

from gatepost._version import __version__
from gatepost.ledger.store.errors import LedgerError

_TABLES = (
    """CREATE TABLE chunk (
        id INTEGER PRIMARY KEY,
        oldest REAL NOT NULL,
        newest REAL NOT NULL,
        letters TEXT NOT NULL,
        records BLOB NOT NULL
    )""",
    "CREATE TABLE tail (id INTEGER PRIMARY KEY, entries BLOB NOT NULL)",
    "CREATE TABLE block (id INTEGER PRIMARY KEY, entries BLOB NOT NULL)",
    """CREATE TABLE total (
        hour INTEGER NOT NULL,
        dimension TEXT NOT NULL,
        counts TEXT NOT NULL,
        keys INTEGER NOT NULL,
        rest REAL NOT NULL,
        PRIMARY KEY (hour, dimension)
    )""",
    """CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        program TEXT NOT NULL,
        oldest REAL,
        newest REAL,
        began REAL NOT NULL DEFAULT 0,
        written REAL NOT NULL DEFAULT 0,
        counted INTEGER NOT NULL DEFAULT 0,
        positions TEXT NOT NULL DEFAULT '{}'
    )""",
    "INSERT INTO meta (id, program) VALUES (1, '')",
)

Upgrade = Callable[[sqlite3.Connection], None]


def _create(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)


# What upgrades version N to N + 1, by N. An empty file is version 0.
UPGRADES: Sequence[Upgrade] = (_create,)
VERSION = len(UPGRADES)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a segment. Raises sqlite3.Error."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_version(connection: sqlite3.Connection, name: str) -> None:
    """Raise `LedgerError` if a later version of the program wrote the segment."""
    found = version_of(connection)
    if found > VERSION:
        (program,) = connection.execute("SELECT program FROM meta").fetchone()
        raise LedgerError(
            f"{name}: expected a segment of version {VERSION} or less, found version {found}:"
            f" use Gatepost {program} or later, or move the file away"
        )


def upgrade(connection: sqlite3.Connection) -> None:
    """Upgrade a segment to VERSION, all or nothing. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in UPGRADES[version_of(connection) :]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("UPDATE meta SET program = ?", (__version__,))
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
