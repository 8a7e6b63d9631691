"""The changes of an administrator, with damaged rows."""

import pytest
from tests.queue.spool.samples import EXPIRES, facts, new_message, put, recipient

from gatepost.queue.spool import admin, changes
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.sql.content import CHUNK

LONG = [b"x" * CHUNK, b"y"]


def change(store, change, **conditions):
    return sum(admin.apply(store.path.parent, Selection(**conditions), change, EXPIRES))


def rows(store, table):
    return store.connection.execute(f"SELECT * FROM {table}").fetchall()


def test_a_removed_message_leaves_nothing_behind(store):
    put(store, *[new_message(content=content) for content in (b"short", LONG, b"")])
    assert change(store, changes.REMOVE) == 3
    assert [rows(store, table) for table in ("message", "content", "recipient")] == [[]] * 3


def test_more_than_a_portion_is_removed(store, monkeypatch):
    monkeypatch.setattr(admin, "PORTION", 2)
    put(store, new_message(*[recipient(f"u{number}@example.com") for number in range(5)]))
    assert change(store, changes.REMOVE, recipient="u4@*") == 1
    assert len(rows(store, "message")) == 1
    assert change(store, changes.REMOVE) == 4
    assert rows(store, "message") == rows(store, "content") == []


@pytest.mark.parametrize("size", ["'x'", "NULL + 'x'", "-1", "9e99"])
def test_a_damaged_message_is_removed_with_its_content(store, size):
    put(store, new_message(content=LONG))
    store.connection.execute(f"UPDATE message SET size = coalesce({size}, 'y')")
    assert change(store, changes.REMOVE) == 1
    assert rows(store, "message") == rows(store, "content") == []


def test_a_message_with_held_recipients_only_has_no_event(store):
    put(store, new_message(recipient("a@example.com"), recipient("b@example.com"), event=EXPIRES))
    assert change(store, changes.HOLD, recipient="a@*") == 1
    assert store.connection.execute("SELECT event FROM message").fetchall() == [(EXPIRES,)]
    assert change(store, changes.HOLD) == 1
    assert store.connection.execute("SELECT event FROM message").fetchall() == [(None,)]


@pytest.fixture
def steps(monkeypatch):
    """Count the steps of the SQLite virtual machine, in hundreds."""
    counted, real = [], admin.connect

    def connect(path):
        connection = real(path)
        connection.set_progress_handler(lambda: counted.append(1), 100)
        return connection

    monkeypatch.setattr(admin, "connect", connect)
    return counted


def test_a_named_message_is_found_without_a_scan(store, steps):
    put(store, *(new_message(of=facts(f"s-1.{number}")) for number in range(3000)))
    for name in ("1-1500", "s-1.1500"):
        assert change(store, changes.RETRY, names=[name]) == 1
    assert len(steps) < 50


def test_a_change_of_many_rows_reads_each_row_once(store, steps, monkeypatch):
    monkeypatch.setattr(admin, "PORTION", 10)
    put(store, *(new_message(of=facts(f"s-1.{number}")) for number in range(3000)))
    assert change(store, changes.RETRY, destination="one") == 3000
    assert len(steps) < 3000 * 3
