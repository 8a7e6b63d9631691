"""A damaged file is replaced by a new one; if that fails, the old file is used again."""

import sqlite3
from contextlib import closing

import pytest
from structlog.testing import capture_logs
from tests.queue.spool.samples import HORIZON, NOW, SIZE, Claims, never_suspended, new_message

from gatepost.queue.spool.corrupt import corrupt_files, unrecovered
from gatepost.queue.spool.opening import Opener
from gatepost.queue.spool.salvage import salvage
from gatepost.queue.spool.sql import database


@pytest.fixture
def seen():
    return []


@pytest.fixture
def opener(seen):
    return Opener(seen.append, size=SIZE, horizon=HORIZON, suspended_until=never_suspended)


def put(store, **options):
    store.begin()
    number = store.put(new_message(**options))
    store.commit()
    return number


def taken(store):
    store.begin()
    jobs = store.take(NOW, 10, Claims()).jobs
    store.commit()
    return [job.message for job in jobs]


def test_a_damaged_file_is_replaced_by_a_new_one(tmp_path, opener, seen):
    old = opener.open(tmp_path / "1.db")
    put(old)
    new = opener.replace(old, "damaged")
    assert taken(new) == []
    assert seen == [new.path]
    (damaged,) = unrecovered(new.path)
    assert [one.message for one in salvage(damaged)] == [1]
    new.close()


def test_a_file_that_cannot_be_renamed_is_opened_again(tmp_path, opener, seen):
    store = opener.open(tmp_path / ("1" * 240 + ".db"))  # the longest possible name
    number = put(store)
    with pytest.raises(OSError, match="name too long"):
        opener.replace(store, "damaged")
    store.roll_back()
    assert taken(store) == [number]
    assert put(store) == number + 1
    assert seen == []
    store.close()


def test_without_room_for_a_new_file_the_renaming_is_undone(make_disk, opener, seen):
    own = make_disk(16)
    folder = own.root / "spool"
    folder.mkdir()
    store = opener.open(folder / "1.db")
    number = put(store)
    with own.full(), pytest.raises(Exception, match=r"full|No space"):
        opener.replace(store, "damaged")
    assert taken(store) == [number]
    assert seen == []
    assert corrupt_files(folder) == []
    store.close()


def test_after_a_disk_failure_the_same_file_is_used(make_disk, opener, seen):
    own = make_disk(16)
    store = opener.open(own.root / "1.db")
    number = put(store)
    own.cut()
    with pytest.raises(OSError, match="Input/output"):
        opener.replace(store, "damaged")
    own.restore()
    assert taken(store) == [number]
    assert seen == []
    store.close()


def test_a_missing_file_is_not_created_again(tmp_path, opener):
    store = opener.open(tmp_path / ("1" * 240 + ".db"))
    with pytest.raises(OSError, match="name too long"):
        opener.replace(store, "damaged")
    store.path.unlink()
    with pytest.raises(FileNotFoundError):
        store.begin()
    store.roll_back()


def damage(path, *statements):
    """Change a closed file so that SQLite reports no error when it opens it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("limit", [0, database.FULL_CHECK])
def test_an_index_without_a_due_recipient_is_damage(tmp_path, opener, monkeypatch, limit):
    monkeypatch.setattr(database, "FULL_CHECK", limit)
    path = tmp_path / "1.db"
    store = opener.open(path)
    put(store)
    store.close()
    damage(
        path,
        "UPDATE sqlite_master SET sql = replace(sql, 'IS NOT', 'IS') WHERE name = 'recipient_due'",
    )
    with capture_logs() as logs:
        opener.open(path).close()
    assert [one["event"] for one in logs] == ["damaged spool file replaced"]
    assert logs[0]["file"] == str(path)
    assert logs[0]["problem"].startswith("integrity check failed: ")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE sqlite_master SET sql = replace(sql, 'facts', 'fakts')", "tables are not those"),
        ("UPDATE sqlite_master SET name = CAST(x'61ff' AS TEXT), sql = 'x'", "schema damaged"),
    ],
)
def test_a_damaged_schema_is_damage(tmp_path, opener, statement, problem):
    path = tmp_path / "1.db"
    opener.open(path).close()
    damage(path, f"{statement} WHERE name = 'message'")
    with capture_logs() as logs:
        opener.open(path).close()
    assert problem in logs[0]["problem"]
    (renamed,) = unrecovered(path)
    assert list(salvage(renamed)) == []
