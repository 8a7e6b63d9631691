"""The tables of a spool file, and how older ones are brought up to date.

`message` is the envelope, one row a message; `content` its octets in pieces, numbered from
`message.id << CHUNK_BITS`; `recipient` who is still to have it; `destination` where there may be
work, and not before when. `message.digest` is the CRC-32 of the octets, NULL if version 1 put them.

A recipient is queued while `due` (seconds since the epoch) is set and held while it is NULL.
`message.event` is when something has to happen even without an attempt: the delay notice, or the
end at `expires`. `destination.due` is never later than the first due recipient there, unless the
destination is left alone until then; 0 is an administrator's "now".

`journal.generation` names the generation of the journal beside the file that is not in the tables
(`fresh`); there is a row as soon as there was a journal.

`salvage` is how far each damaged file has been read that is being put back into this one: up to
`message`, of which `put_back` are here and of `unreadable` something is missing.

Numbers are never given twice (AUTOINCREMENT), so that what an administrator has seen in a list is
what a command acts on.
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

# The statements that make version N + 1 of version N, by N. An empty file is version 0.
UPGRADES = (_TABLES, _DIGEST_AND_JOURNAL, _SALVAGE_AND_REFERENCES)
VERSION = len(UPGRADES)


class VersionError(Exception):
    """The file was written by a later version of this program."""


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a file to VERSION, all or nothing; raises `VersionError` or sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _upgrade(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def has_digests(connection: sqlite3.Connection) -> bool:
    """Whether messages have digests in a file that may be of an earlier version."""
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
