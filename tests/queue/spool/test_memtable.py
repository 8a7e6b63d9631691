"""New messages survive in the journal; undelivered ones move to the tables."""

import shutil
import sqlite3

import pytest
from tests.queue.spool.samples import (
    NOW,
    committed,
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

from gatepost.queue.spool.journal import CAPACITY, HEADER, Journal
from gatepost.queue.spool.memtable import MAX_CONTENT
from gatepost.queue.spool.records import AttemptResult, Deferred

TABLES = ("message", "content", "recipient", "destination")


def post(store, *new_messages):
    with committed(store):
        return [job for one in new_messages for job in store.post(one, NOW, at_once=True)]


def absorb(store):
    with committed(store):
        store.absorb()


def count(store):
    return [
        store.connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES
    ]


def after_a_crash(store, folder):
    """Return a store of the files as they are now, as after a crash."""
    folder.mkdir()
    for path in store.path.parent.glob("1.db*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, folder)
    return open_store(folder / "1.db")


def found_after_a_crash(store, folder):
    again = after_a_crash(store, folder)
    absorb(again)
    found = {
        job.facts.id: (content(again, job), [str(one.facts.address) for one in job.recipients])
        for job in take(again)
    }
    again.close()
    return found


def test_a_message_delivered_at_once_never_reaches_the_tables(store):
    (job,) = post(store, new_message(content=b"Hello"))
    assert content(store, job) == b"Hello"
    record(store, delivered(job))
    absorb(store)
    assert count(store) == [0, 0, 0, 0]


def test_messages_of_the_journal_need_no_transaction_of_the_tables(store):
    with committed(store):
        (job,) = store.post(new_message(), NOW, at_once=True)
        assert not store.connection.in_transaction
    with committed(store):
        store.record(delivered(job))
        assert not store.connection.in_transaction


def test_undelivered_messages_are_taken_from_the_tables(store):
    jobs = post(
        store, new_message(of=facts("s-1.1")), new_message(of=facts("s-1.2"), content=b"Later")
    )
    record(store, delivered(jobs[0]))
    absorb(store)
    (job,) = take(store)
    assert (job.message, job.facts.id, content(store, job)) == (
        jobs[1].message,
        "s-1.2",
        b"Later",
    )


def test_a_crash_loses_no_message_and_repeats_none(store, tmp_path):
    jobs = post(
        store, new_message(of=facts("s-1.1")), new_message(of=facts("s-1.2"), content=b"Later")
    )
    record(store, delivered(jobs[0]))
    expected = {"s-1.2": (b"Later", ["user@example.com"])}
    assert found_after_a_crash(store, tmp_path / "again") == expected


def test_delivered_recipients_are_recorded_one_by_one(store, tmp_path):
    first, _ = post(
        store, new_message(recipient("a@one.example"), recipient("b@two.example", "two"))
    )
    record(store, delivered(first))
    found = found_after_a_crash(store, tmp_path / "again")
    assert [to for _, to in found.values()] == [["b@two.example"]]


def test_a_message_absorbed_before_a_crash_is_found_once(store, tmp_path):
    (job,) = post(store, new_message())
    absorb(store)
    post(store, new_message(of=facts("s-1.2")))
    record(store, delivered(job))
    assert list(found_after_a_crash(store, tmp_path / "again")) == ["s-1.2"]


def test_a_crash_during_absorption_keeps_the_journal(store, tmp_path):
    post(store, new_message())
    store.begin()
    store.absorb()
    found = found_after_a_crash(store, tmp_path / "again")
    store.roll_back()
    assert list(found) == ["s-1.1"]


def test_new_numbers_are_above_those_of_the_journal(store, tmp_path):
    (job,) = post(store, new_message())
    again = after_a_crash(store, tmp_path / "again")
    (other,) = post(again, new_message())
    assert other.message > job.message
    assert other.recipients[0].id > job.recipients[0].id
    again.close()


def test_a_deferred_message_moves_the_journal_to_the_tables(store):
    first, second = post(store, new_message(), new_message(of=facts("s-1.2")))
    later = Deferred(first.recipients[0].id, NOW + 60, "450 Later", "busy")
    record(store, AttemptResult(first.message, ["one"], deferred=[later]))
    assert [job.facts.id for job in take(store)] == ["s-1.2"]
    assert [job.facts.id for job in take(store, NOW + 60)] == ["s-1.2", "s-1.1"]
    record(store, delivered(second))
    assert count(store)[:3] == [1, 1, 1]


def test_deferred_and_delivered_messages_in_one_transaction(store):
    first, second = post(store, new_message(), new_message(of=facts("s-1.2")))
    later = Deferred(first.recipients[0].id, NOW + 60, "", "")
    record(store, delivered(second), AttemptResult(first.message, ["one"], deferred=[later]))
    assert [job.facts.id for job in take(store, NOW + 60)] == ["s-1.1"]


def test_after_absorption_a_message_of_the_same_transaction_goes_to_the_tables(store):
    (first,) = post(store, new_message())
    with committed(store):
        store.absorb()
        (second,) = store.post(new_message(of=facts("s-1.2")), NOW, at_once=True)
    record(store, delivered(first), delivered(second))
    assert count(store)[:3] == [0, 0, 0]


def test_recipients_move_to_another_destination(store):
    (job,) = post(store, new_message())
    with committed(store):
        store.move([job.recipients[0].id], "one", "two")
    assert [one.destination for one in take(store)] == ["two"]


def test_a_long_message_goes_to_the_tables(store):
    post(store, new_message(content=b"x" * (MAX_CONTENT + 1)))
    assert count(store) == [1, 1, 1, 1]


def test_a_full_journal_moves_to_the_tables(tmp_path):
    with store_at(tmp_path / "1.db", size=1 << 20) as store:
        for number in range(5):
            post(store, new_message(content=b"x" * MAX_CONTENT, of=facts(f"s-1.{number}")))
        assert 0 < count(store)[0] < 5
        absorb(store)
        assert [job.facts.id for job in take(store)] == [f"s-1.{n}" for n in range(5)]


def test_a_full_journal_of_delivered_messages_starts_again(tmp_path):
    with store_at(tmp_path / "1.db", size=1 << 20) as store:
        for number in range(20):
            jobs = post(store, new_message(content=b"x" * MAX_CONTENT, of=facts(f"s-1.{number}")))
            record(store, *map(delivered, jobs))
            absorb(store)
        assert store.connection.execute("SELECT * FROM sqlite_sequence").fetchall() == []


class Failing:
    """A connection whose commits fail."""

    def __init__(self, connection):
        self.connection = connection

    def execute(self, statement, *values):
        if statement == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self.connection.execute(statement, *values)

    def __getattr__(self, name):
        return getattr(self.connection, name)


def test_uncommitted_messages_are_not_found_in_the_journal(store, tmp_path):
    real = store.connection
    store.connection = Failing(real)
    long = new_message(of=facts("s-1.2"), content=bytes(MAX_CONTENT + 1))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        post(store, new_message(), long)
    store.connection = real
    post(store, new_message(of=facts("s-1.3")))
    assert list(found_after_a_crash(store, tmp_path / "again")) == ["s-1.3"]


def test_messages_that_could_not_be_absorbed_stay_in_the_journal(store, tmp_path):
    (job,) = post(store, new_message())
    real = store.connection
    store.connection = Failing(real)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        absorb(store)
    store.connection = real
    assert count(store)[0] == 0
    record(store, delivered(job))
    assert found_after_a_crash(store, tmp_path / "again") == {}


def test_after_a_failed_absorption_the_journal_takes_no_records(store, tmp_path):
    """A failed commit may be on the disk, and take effect after a crash."""
    post(store, new_message())
    real = store.connection
    store.connection = Failing(real)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        absorb(store)
    store.connection = real
    post(store, new_message(of=facts("s-1.2")))
    assert count(store)[0] == 2
    post(store, new_message(of=facts("s-1.3")))
    assert count(store)[0] == 2
    assert list(found_after_a_crash(store, tmp_path / "again")) == ["s-1.1", "s-1.2", "s-1.3"]


def test_a_broken_record_is_logged_and_the_rest_is_found(store, tmp_path, caplog):
    post(store, new_message(content=b"broken"), new_message(of=facts("s-1.2")))
    journal = store.path.with_name("1.db-log")
    octets = journal.read_bytes()
    journal.write_bytes(octets.replace(b"broken", b"BROKEN", 1))
    assert list(found_after_a_crash(store, tmp_path / "again")) == ["s-1.2"]
    assert "journal damaged" in caplog.text


def test_an_undecodable_record_is_logged_and_the_rest_is_found(tmp_path, caplog):
    journal = Journal(tmp_path / "1.db-log", generation=7, capacity=CAPACITY)
    journal.add(b"\xc1")
    journal.write()
    journal.close()
    with store_at(tmp_path / "1.db") as store:
        assert "journal damaged" in caplog.text
        post(store, new_message())
        assert list(found_after_a_crash(store, tmp_path / "again")) == ["s-1.1"]


def test_a_new_file_uses_an_existing_journal(store, tmp_path):
    post(store, new_message())
    (tmp_path / "other").mkdir()
    shutil.copy(store.path.with_name("1.db-log"), tmp_path / "other")
    with store_at(tmp_path / "other" / "1.db") as other:
        absorb(other)
        assert [job.facts.id for job in take(other)] == ["s-1.1"]


@pytest.mark.parametrize("octets", [b"", b"x", b"\xff" * 100, b"\0" * HEADER.size, b"x" * 100_000])
def test_an_invalid_journal_is_ignored(tmp_path, octets):
    (tmp_path / "1.db-log").write_bytes(octets)
    with store_at(tmp_path / "1.db") as store:
        (job,) = post(store, new_message())
        assert list(found_after_a_crash(store, tmp_path / "again")) == ["s-1.1"]
        record(store, delivered(job))


@pytest.mark.parametrize("generation", ["'x'", "-1", "0", "1.5", "x'00'"])
def test_an_invalid_generation_is_ignored(tmp_path, generation):
    with store_at(tmp_path / "1.db") as store:
        put(store, new_message())
        store.connection.execute(f"UPDATE journal SET generation = {generation}")
    with store_at(tmp_path / "1.db") as store:
        post(store, new_message(of=facts("s-1.2")))
        absorb(store)
        assert [job.facts.id for job in take(store)] == ["s-1.1", "s-1.2"]
