"""Opening a file of the store, its tables, and the meaning of SQLite errors.

Commits do not wait for the disk (synchronous = NORMAL in WAL mode): an fsync takes milliseconds,
and the state is a help for decisions, not mail. A killed process loses nothing that was committed.
A power cut can lose the last seconds, and does not damage the file.

`usage` has the octets of each namespace (`gatepost.store.quota`). Its row NO_NAMESPACE only exists
to be written after a checkpoint: the first write to a restarted WAL waits for the disk.

Limits: a file grows to `size` octets. Past that, SQLite reports a full disk. A file with more than
FULL_CHECK pages is not read completely when it is opened.
"""

import sqlite3
from pathlib import Path

PAGE = 4096
# Half a second on a slow disk.
FULL_CHECK = 8192
# The WAL is truncated to this size after a checkpoint.
WAL_SIZE = 16 * 1024 * 1024
VERSION = 1
NO_NAMESPACE = ""

_TABLES = (
    """
CREATE TABLE entry (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    stored NOT NULL,
    expires REAL NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID
""",
    "CREATE INDEX entry_expires ON entry (namespace, expires, key)",
    """
CREATE TABLE usage (
    namespace TEXT PRIMARY KEY,
    octets INTEGER NOT NULL
) WITHOUT ROWID
""",
    f"PRAGMA user_version = {VERSION}",
)
_COLUMNS = ("SELECT namespace, key, stored, expires FROM entry LIMIT 0", "SELECT * FROM usage")

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DamagedFileError(sqlite3.DatabaseError):
    """The file is damaged or of another version, although SQLite reports no error."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def connect(path: Path, wait: float) -> sqlite3.Connection:
    """Connect to an existing file; `wait` is the time in seconds for locks of others.

    Raises sqlite3.Error.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=wait,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = _text
    connection.execute("PRAGMA synchronous = NORMAL")
    # The thread of the store makes checkpoints, because they wait for the disk.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def prepare(connection: sqlite3.Connection, size: int) -> None:
    """Create the tables of a new file, or check those of an old one. Raises sqlite3.Error.

    A damaged file is an error for which `is_damage` is true.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"expected journal mode wal, found {mode}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_SIZE}")
    limit_size(connection, size)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == tables == 0:
        _create_tables(connection)
    elif version != VERSION:
        raise DamagedFileError(f"expected version {VERSION}, found {version}")
    _check(connection)


def limit_size(connection: sqlite3.Connection, size: int) -> None:
    """Limit the size of the file, in octets. The limit is one of the connection."""
    connection.execute(f"PRAGMA max_page_count = {max(1, size // PAGE)}")


def is_damage(error: BaseException) -> bool:
    """Return whether the file is damaged: another file is needed."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGED


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _TABLES:
            connection.execute(statement)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _check(connection: sqlite3.Connection) -> None:
    try:
        for statement in _COLUMNS:
            connection.execute(statement)
    except sqlite3.OperationalError as error:
        raise DamagedFileError(str(error)) from error
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages <= FULL_CHECK:
        (problem,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if problem != "ok":
            raise DamagedFileError(f"integrity check failed: {problem.splitlines()[-1]}")


def _code(error: sqlite3.Error) -> int:
    """Return the SQLite result code without its extension."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _text(octets: bytes) -> str:
    """Return text also from damaged octets; they are in values of one key only."""
    return octets.decode(errors="replace")
