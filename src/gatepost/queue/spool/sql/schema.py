"""The tables of a spool file, and the upgrade of older files.

`message` is the envelope, one row per message. `content` is its octets in pieces, numbered from
`message.id << CHUNK_BITS`. `recipient` is one row per recipient that still needs the message.
`destination` is the earliest time at which there may be work for a destination.
`message.digest` is the CRC-32 of the octets, or NULL for messages of version 1.

A recipient is queued while `due` (seconds since the epoch) is set, and held while it is NULL.
`message.event` is the time of the next change without a delivery attempt: the delay notice, or the
end at `expires`. `destination.due` is never later than the first due recipient of the destination,
unless the destination is suspended until then. 0 means that an administrator asked for an attempt.

`journal.generation` names the generation of the journal that is not in the tables (`memtable`).
The row exists from the first journal on.

`salvage` is the progress of each damaged file that is being recovered into this one: read up to
`message`, with `put_back` messages recovered and `unreadable` messages incomplete.

Numbers are never reused (AUTOINCREMENT), so that a command of an administrator changes the messages
that were listed.
"""

import sqlite3

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

# The statements that upgrade version N to N + 1, by N. An empty file is version 0.
UPGRADES = (_TABLES, _DIGEST_AND_JOURNAL, _SALVAGE_AND_REFERENCES)
VERSION = len(UPGRADES)


class VersionError(Exception):
    """The file was written by a later version of this program."""


def upgrade(connection: sqlite3.Connection) -> None:
    """Upgrade a file to VERSION, all or nothing; raises `VersionError` or sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _upgrade(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def has_digests(connection: sqlite3.Connection) -> bool:
    """Return whether messages have digests; files of version 1 have none."""
    columns = connection.execute("PRAGMA table_info(message)")
    return any(name == "digest" for _, name, *_ in columns)


def _upgrade(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise VersionError(f"expected version {VERSION} or less, found {found}")
    for statements in UPGRADES[found:]:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(statement)
    if found != VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
