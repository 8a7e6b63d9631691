"""Files of every version are brought up to date, or refused."""

import sqlite3
from zlib import crc32

import pytest
from tests.queue.spool.samples import (
    EXPIRES,
    NOW,
    content,
    delivered,
    facts,
    new_message,
    open_store,
    put,
    recipient,
    record,
    store_at,
    take,
)

from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.records import encode
from gatepost.queue.spool.salvage import salvage
from gatepost.queue.spool.sql import schema
from gatepost.queue.spool.sql.content import CHUNK
from gatepost.queue.spool.sql.schema import (
    CHUNK_BITS,
    VERSION,
    DamagedFileError,
    VersionError,
    upgrade,
)


def connect(path):
    return sqlite3.connect(path, isolation_level=None)


def test_an_empty_file_becomes_the_current_version(tmp_path):
    with store_at(tmp_path / "1.db") as store:
        assert store.connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_file_of_the_last_version_is_upgraded_with_its_messages(tmp_path, monkeypatch):
    path = tmp_path / "1.db"
    with store_at(path) as store:
        put(store, new_message())
    added = "ALTER TABLE message ADD COLUMN later TEXT NOT NULL DEFAULT 'x'"
    monkeypatch.setattr(schema, "UPGRADES", (*schema.UPGRADES, added))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    with store_at(path) as store:
        assert store.connection.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
        assert store.connection.execute("SELECT later FROM message").fetchall() == [("x",)]
        assert content(store, take(store)[0])


def version_1(path, *messages):
    """Make a file as version 1 did, with messages for one recipient each."""
    connection = connect(path)
    connection.executescript(schema.UPGRADES[0])
    for number, octets in enumerate(messages, start=1):
        pieces = [octets[at : at + CHUNK] for at in range(0, len(octets), CHUNK)]
        connection.execute(
            "INSERT INTO message (ref, sender, size, received, expires, event, facts)"
            " VALUES (?, 'sender@example.net', ?, ?, ?, NULL, ?)",
            (f"s-1.{number}", len(octets), NOW, EXPIRES, encode(facts(f"s-1.{number}")).decode()),
        )
        connection.executemany(
            "INSERT INTO content (id, data) VALUES (?, ?)",
            enumerate(pieces, start=number << CHUNK_BITS),
        )
        connection.execute(
            "INSERT INTO recipient (message, address, destination, due, facts)"
            " VALUES (?, 'user@example.com', 'one', ?, ?)",
            (number, NOW, encode(recipient().facts).decode()),
        )
    connection.execute("INSERT INTO destination (name, due) VALUES ('one', ?)", (NOW,))
    connection.execute("PRAGMA user_version = 1")
    connection.close()


OLD = [b"short", b"x" * CHUNK + b"y" * CHUNK + b"z", b""]


def test_messages_of_version_1_are_delivered(tmp_path):
    version_1(tmp_path / "1.db", *OLD)
    with store_at(tmp_path / "1.db") as store:
        assert store.connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        put(store, new_message(content=b"new"))
        jobs = take(store)
        assert [content(store, job) for job in jobs] == [*OLD, b"new"]
        assert [job.digest for job in jobs] == [None, None, None, crc32(b"new")]
        record(store, *map(delivered, jobs))
        assert store.is_empty()


def test_messages_of_version_1_can_be_listed_shown_and_recovered(tmp_path):
    version_1(tmp_path / "1.db", *OLD)
    assert [one.name for one in admin.entries(tmp_path, Selection(), 9)] == ["1-1", "1-2", "1-3"]
    with admin.open_message(tmp_path, "1-2") as (_, pieces, _):
        assert b"".join(pieces) == OLD[1]
    assert [b"".join(one.new_message.pieces) for one in salvage(tmp_path / "1.db")] == OLD


def version_3(path):
    """Make a file as version 3 did, with one message."""
    with store_at(path) as store:
        put(store, new_message())
        store.connection.executescript(
            "ALTER TABLE message DROP COLUMN envelope; ALTER TABLE recipient DROP COLUMN envelope;"
            "DROP TABLE change; DROP INDEX recipient_quarantined;"
            "ALTER TABLE recipient DROP COLUMN holder; ALTER TABLE recipient DROP COLUMN held;"
            "PRAGMA user_version = 3"
        )


def test_messages_of_version_3_are_delivered_and_new_ones_have_row_digests(tmp_path):
    version_3(tmp_path / "1.db")
    with store_at(tmp_path / "1.db") as store:
        put(store, new_message(of=facts("s-1.2")))
        assert [job.facts.id for job in take(store)] == ["s-1.1", "s-1.2"]
        for table in ("message", "recipient"):
            digests = store.connection.execute(f"SELECT envelope FROM {table} ORDER BY id")
            assert [digest is None for (digest,) in digests] == [True, False]


def test_messages_of_version_3_can_be_listed_shown_and_recovered(tmp_path):
    version_3(tmp_path / "1.db")
    assert [one.name for one in admin.entries(tmp_path, Selection(), 9)] == ["1-1"]
    with admin.open_message(tmp_path, "1-1") as (_, pieces, _):
        assert b"".join(pieces).endswith(b"Hello\r\n")
    assert [one.problem for one in salvage(tmp_path / "1.db")] == [""]


@pytest.mark.parametrize("version", [0, 1, VERSION - 1, VERSION + 1, 1 << 30])
def test_a_damaged_version_number_is_damage(tmp_path, version):
    path = tmp_path / "1.db"
    with store_at(path) as store:
        store.connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(DamagedFileError, match=f"not those of version {version}"):
        open_store(path)


def test_a_failed_upgrade_leaves_the_file_unchanged(tmp_path, monkeypatch):
    broken = "CREATE TABLE first (x); CREATE TABLE first (x)"
    path = tmp_path / "1.db"
    with store_at(path):
        pass
    monkeypatch.setattr(schema, "UPGRADES", (*schema.UPGRADES, broken))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    connection = connect(path)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        upgrade(connection)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'first'").fetchall()
    assert (tables, connection.execute("PRAGMA user_version").fetchone()) == ([], (VERSION,))
    connection.close()


def test_a_file_of_a_later_version_is_refused(tmp_path):
    connection = connect(tmp_path / "1.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(VersionError, match=f"expected version {VERSION} or less, found 99"):
        open_store(tmp_path / "1.db")
