"""The tables of a spool file, and the upgrade of older files.

`message` is the envelope, one row per message. `content` is its octets in pieces, numbered from
`message.id << CHUNK_BITS`. `recipient` is one row per recipient that still needs the message.
`destination` is the earliest time at which there may be work for a destination.
`message.digest` is the CRC-32 of the octets, or NULL for messages of version 1.

`message.envelope` and `recipient.envelope` are CRC-32s of the columns that never change
(`row_digest`), or NULL in rows of version 3 and earlier.

A recipient is queued while `due` (seconds since the epoch) is set, and held while it is NULL.
`message.event` is the time of the next change without a delivery attempt: the delay notice, or the
end at `expires`. `destination.due` is never later than the first due recipient of the destination,
unless the destination is suspended until then. 0 means that an administrator asked for an attempt.

A recipient in quarantine is held, and `recipient.holder` is the plugin that has held it (`gatepost`
for the core). `recipient.held` is the time, also for one that an administrator has held.

`change` has the changes of administrators that are not in the ledger yet, and what remains to be
done: see `gatepost.queue.spool.changes`.

`journal.generation` names the generation of the journal that is not in the tables (`memtable`).
The row exists from the first journal on.

`salvage` is the progress of each damaged file that is being recovered into this one: read up to
`message`, with `put_back` messages recovered and `unreadable` messages incomplete.

Numbers are never reused (AUTOINCREMENT), so that a command of an administrator changes the messages
that were listed.
"""

import sqlite3
from contextlib import closing
from zlib import crc32

CHUNK_BITS = 24

_TABLES = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ref TEXT NOT NULL,
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    received REAL NOT NULL,
    expires REAL NOT NULL,
    event REAL,
    facts TEXT NOT NULL
);
CREATE INDEX message_event ON message (event) WHERE event IS NOT NULL;
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
CREATE TABLE recipient (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    address TEXT NOT NULL,
    destination TEXT NOT NULL,
    due REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reply TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    facts TEXT NOT NULL
);
CREATE INDEX recipient_message ON recipient (message);
CREATE INDEX recipient_due ON recipient (destination, due) WHERE due IS NOT NULL;
CREATE INDEX recipient_held ON recipient (message) WHERE due IS NULL;
CREATE TABLE destination (
    name TEXT PRIMARY KEY,
    due REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX destination_due ON destination (due);
"""

_DIGEST_AND_JOURNAL = """
ALTER TABLE message ADD COLUMN digest INTEGER;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
);
"""

_SALVAGE_AND_REFERENCES = """
CREATE INDEX message_ref ON message (ref);
CREATE TABLE salvage (
    name TEXT PRIMARY KEY,
    message INTEGER NOT NULL,
    put_back INTEGER NOT NULL,
    unreadable INTEGER NOT NULL
) WITHOUT ROWID
"""

_ROW_DIGESTS = """
ALTER TABLE message ADD COLUMN envelope INTEGER;
ALTER TABLE recipient ADD COLUMN envelope INTEGER
"""

_QUARANTINE = """
ALTER TABLE recipient ADD COLUMN holder TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN held REAL;
CREATE INDEX recipient_quarantined ON recipient (held) WHERE holder != '';
CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    author TEXT NOT NULL,
    detail TEXT NOT NULL,
    message INTEGER NOT NULL,
    ref TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    rows TEXT NOT NULL
)
"""

# The statements that upgrade version N to N + 1, by N. An empty file is version 0.
UPGRADES = (_TABLES, _DIGEST_AND_JOURNAL, _SALVAGE_AND_REFERENCES, _ROW_DIGESTS, _QUARANTINE)
VERSION = len(UPGRADES)


class VersionError(Exception):
    """The file was written by a later version of this program."""


class DamagedFileError(sqlite3.DatabaseError):
    """A spool file is damaged, although SQLite reports no error."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def upgrade(connection: sqlite3.Connection) -> None:
    """Upgrade a file to VERSION, all or nothing; raises `VersionError` or sqlite3.Error.

    `DamagedFileError` is raised if the tables are not those of the version.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _upgrade(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def column(connection: sqlite3.Connection, table: str, name: str) -> str:
    """Return the name of a column for a query, "NULL" if the file is too old to have it."""
    columns = connection.execute(f"PRAGMA table_info({table})")
    return name if any(found == name for _, found, *_ in columns) else "NULL"


def row_digest(*values: object) -> int:
    """Return the digest of the columns of a row that never change."""
    return crc32("\0".join(map(str, values)).encode(errors="surrogateescape"))


def check_row(digest: object, *values: object) -> None:
    """Raise ValueError if the digest differs; rows of earlier versions have none."""
    if digest is not None and digest != row_digest(*values):
        raise ValueError("envelope checksum mismatch")


def _upgrade(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    is_of_version = _tables(connection) == _tables_of(found)
    if found > VERSION and not is_of_version:
        raise VersionError(f"expected version {VERSION} or less, found {found}")
    if found > VERSION or not is_of_version:
        raise DamagedFileError(f"the tables are not those of version {found}")
    for statements in UPGRADES[found:]:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(statement)
    if found != VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _tables_of(version: int) -> set[tuple[str, ...]]:
    """Return the tables of a version, or of the newest one before it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statements in UPGRADES[: max(0, version)]:
            connection.executescript(statements)
        return _tables(connection)


def _tables(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Return the names of all tables and indexes with their columns."""
    found = connection.execute(
        "SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {(name, *_columns(connection, f"{kind}_info", name)) for name, kind in found}


def _columns(connection: sqlite3.Connection, pragma: str, name: str) -> list[str]:
    rows = connection.execute(f"SELECT name FROM pragma_{pragma}(?)", (name,))  # noqa: S608 - constants
    return [column for (column,) in rows]
