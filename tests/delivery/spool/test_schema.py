"""Files of every version are brought up to date, or refused."""

import sqlite3

import pytest
from tests.delivery.spool.samples import content, open_store, parcel, put, store_at, take

from gatepost.delivery.spool import schema
from gatepost.delivery.spool.schema import VERSION, VersionError, upgrade


def connect(path):
    return sqlite3.connect(path, isolation_level=None)


def test_an_empty_file_becomes_the_current_version(tmp_path):
    with store_at(tmp_path / "1.db") as store:
        assert store.connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_file_of_the_version_before_is_upgraded_with_what_is_in_it(tmp_path, monkeypatch):
    path = tmp_path / "1.db"
    with store_at(path) as store:
        put(store, parcel())
    added = "ALTER TABLE message ADD COLUMN later TEXT NOT NULL DEFAULT 'x'"
    monkeypatch.setattr(schema, "UPGRADES", (*schema.UPGRADES, added))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    with store_at(path) as store:
        assert store.connection.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
        assert store.connection.execute("SELECT later FROM message").fetchall() == [("x",)]
        assert content(store, take(store)[0])


def test_an_upgrade_that_breaks_off_leaves_the_file_as_it_was(tmp_path, monkeypatch):
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
