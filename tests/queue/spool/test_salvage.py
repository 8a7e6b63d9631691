"""Readable messages of a damaged file are recovered intact and once; others are not."""

import random
import shutil
import sqlite3
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.queue.spool.samples import (
    NOW,
    committed,
    delivered,
    facts,
    flip_bit,
    new_message,
    open_store,
    put,
    recipient,
    record,
    store_at,
    take,
)

from gatepost.queue.recovery import Progress, ReplacedError, put_back, read_progress
from gatepost.queue.spool import salvage as module
from gatepost.queue.spool.corrupt import rename_damaged
from gatepost.queue.spool.salvage import salvage
from gatepost.queue.spool.sql import database
from gatepost.queue.spool.sql.content import CHUNK

PAGE = 4096
NAME = "1.db.salvage-1"


def text(number):
    return f"message {number} ".encode() * (500 if number % 7 else 20)


def written(path, count):
    with store_at(path) as store:
        put(
            store,
            *[
                new_message(
                    recipient("a@example.com"),
                    recipient(due=None),
                    content=text(number),
                    of=facts(f"s-1.{number}"),
                )
                for number in range(1, count + 1)
            ],
        )
    return path


def salvaged(path, after=0):
    """Return the readable messages by number."""
    found = list(salvage(path, after))
    numbers = [one.message for one in found]
    assert numbers == sorted(set(numbers))
    return {one.message: one.new_message for one in found if one.new_message is not None}


def expected(new_message):
    return text(int(new_message.facts.id.removeprefix("s-1.")))


def write_pages(path, pages):
    with path.open("r+b") as file:
        for number, octets in pages.items():
            file.seek(number * PAGE)
            file.write(octets)


def query(path, *statement):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(*statement).fetchall()


def test_an_intact_file_is_read_completely(tmp_path):
    path = written(tmp_path / "1.db", 20)
    found = list(salvage(path))
    assert [one.new_message.facts.id for one in found] == [
        f"s-1.{number}" for number in range(1, 21)
    ]
    assert all(b"".join(one.new_message.pieces) == expected(one.new_message) for one in found)
    assert all(
        [to.due is None for to in one.new_message.recipients] == [False, True] for one in found
    )
    assert not any(one.problem for one in found)
    assert sorted(salvaged(path, 15)) == [16, 17, 18, 19, 20]


@pytest.mark.parametrize(
    "octets", [b"", b"x" * 10, b"x" * 100_000, b"SQLite format 3\0" + b"\0" * 5000]
)
def test_a_file_that_is_not_a_spool_has_no_messages(tmp_path, octets):
    path = tmp_path / "1.db"
    path.write_bytes(octets)
    assert list(salvage(path)) == []


# Kinds of damage to a page: garbage, zeros, the content of another page, a flipped bit.
def garbage(octets, dice, page):
    return dice.randbytes(PAGE)


def zeros(octets, dice, page):
    return bytes(PAGE)


def misplaced(octets, dice, page):
    other = dice.randrange(1, len(octets) // PAGE)
    return octets[other * PAGE : (other + 1) * PAGE]


def bit(octets, dice, page):
    one = bytearray(octets[page * PAGE : (page + 1) * PAGE])
    one[dice.randrange(PAGE)] ^= 1 << dice.randrange(8)
    return bytes(one)


def answers(path):
    """Return the rows of each message as queries by number find them."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return {number: answer(connection, number) for number in range(1, 151)}


def answer(connection, number):
    rows = (
        ("message", number),
        ("content", number << 24),
        ("recipient", 2 * number - 1),
        ("recipient", 2 * number),
    )
    try:
        return [
            connection.execute(f"SELECT * FROM {table} WHERE id = ?", (at,)).fetchall()
            for table, at in rows
        ]
    except sqlite3.Error:
        return []


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = written(tmp_path_factory.mktemp("spool") / "1.db", 150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STEPS", 200)
        yield path


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    how=st.sampled_from([garbage, zeros, misplaced, bit]),
    count=st.integers(1, 6),
    breaks=st.lists(st.integers(0, 3), max_size=3),
)
def test_each_readable_message_is_recovered_once_despite_interruptions(
    original, seed, how, count, breaks
):
    dice, octets = random.Random(seed), original.read_bytes()
    pages = dice.sample(range(1, len(octets) // PAGE), count)
    with tempfile.TemporaryDirectory() as folder:
        damaged, new = Path(folder) / NAME, Path(folder) / "1.db"
        shutil.copy(original, damaged)
        write_pages(damaged, {page: how(octets, dice, page) for page in pages})
        whole, now = answers(original), answers(damaged)
        left = {number for number in whole if now[number] == whole[number]}

        for batches in (*breaks, None):
            with store_at(new) as store:
                put_all_back(store, damaged, batches)
        with store_at(new) as store:
            refs = [row[0] for row in store.connection.execute("SELECT ref FROM message")]
            assert all(
                store.reader.pieces(*row)
                for row in store.connection.execute("SELECT id, size FROM message")
            )
            progress = read_progress(store.connection, NAME)
        assert len(refs) == len(set(refs)) == progress.put_back
        assert {f"s-1.{number}" for number in left} <= set(refs)


def put_all_back(store, damaged, batches):
    """Recover in batches of 20; after `batches` of them, roll one back and stop."""
    progress = read_progress(store.connection, NAME)
    with closing(salvage(damaged, progress.message)) as findings:
        while found := list(islice(findings, 20)):
            if batches == 0:
                store.begin()
                put_back(store, NAME, progress, found)
                store.roll_back()
                return
            batches = None if batches is None else batches - 1
            with committed(store):
                progress = put_back(store, NAME, progress, found)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE message SET facts = CAST(x'7b22ff' AS TEXT) WHERE id = 2", "surrogates"),
        ("UPDATE message SET facts = 5 WHERE id = 2", "Expected"),
        ("UPDATE message SET size = 'x' WHERE id = 2", "not supported between"),
        ("UPDATE message SET size = 0 WHERE id = 2", "checksum mismatch"),
        (
            "UPDATE message SET facts = replace(facts, 'sender', 'render') WHERE id = 2",
            "envelope checksum mismatch",
        ),
        (
            "UPDATE recipient SET facts = replace(facts, 'example', 'axample') WHERE message = 2",
            "no readable recipient",
        ),
        ("UPDATE message SET expires = 'x' WHERE id = 2", "could not convert"),
        ("UPDATE message SET digest = 1 WHERE id = 2", "checksum mismatch"),
        ("DELETE FROM message WHERE id = 2", "envelope unreadable"),
        ("DELETE FROM content WHERE id >> 24 = 2", "expected"),
        ("DELETE FROM recipient WHERE message = 2", "no readable recipient"),
        ("UPDATE recipient SET due = 'x' WHERE message = 2", "no readable recipient"),
        ("UPDATE recipient SET facts = '[]' WHERE message = 2", "no readable recipient"),
    ],
)
def test_a_message_with_a_wrong_value_is_reported_and_the_others_are_recovered(
    tmp_path, damage, problem
):
    path = written(tmp_path / NAME, 3)
    query(path, damage)
    assert [(one.message, bool(one.new_message)) for one in salvage(path)] == [
        (1, True),
        (2, False),
        (3, True),
    ]
    assert problem in [one.problem for one in salvage(path)][1]
    with store_at(tmp_path / "1.db") as store, committed(store):
        assert put_back(store, NAME, Progress(), list(salvage(path))) == Progress(3, 2, 1)


def test_an_unreadable_recipient_does_not_affect_the_others(tmp_path):
    path = written(tmp_path / NAME, 1)
    query(path, "UPDATE recipient SET facts = '[]' WHERE id = 2")
    (found,) = salvage(path)
    assert [str(one.facts.address) for one in found.new_message.recipients] == ["a@example.com"]
    assert found.problem.startswith("recipient 2: ")


def test_a_recipient_with_a_wrong_message_number_does_not_affect_others(tmp_path):
    path = written(tmp_path / NAME, 20)
    query(path, "UPDATE recipient SET message = 1 << 50 WHERE id = 6")
    assert sorted(salvaged(path)) == list(range(1, 21))


def test_invalid_text_does_not_stop_recovery(tmp_path):
    path = written(tmp_path / NAME, 1)
    broken = "CAST(x'61ff' AS TEXT)"
    query(path, f"UPDATE recipient SET destination = {broken}, reply = {broken}, reason = {broken}")
    with store_at(tmp_path / "1.db") as store:
        with committed(store):
            put_back(store, NAME, Progress(), list(salvage(path)))
        assert [job.destination for job in take(store)] == ["a?"]


PROBLEMS = {"", "envelope unreadable", "database disk image is malformed"}


@pytest.mark.parametrize("gap", [1, 5000, 1 << 20, 1 << 40])
def test_distant_numbers_are_found_after_a_damaged_page(tmp_path, monkeypatch, gap):
    monkeypatch.setattr(module, "STEPS", 100)
    path = written(tmp_path / NAME, 60)
    if gap > 1:
        query(path, "DELETE FROM content")
        query(path, "UPDATE message SET size = 0, digest = 0, envelope = NULL")
        query(path, "UPDATE recipient SET envelope = NULL")
        query(path, "UPDATE recipient SET message = message + ? WHERE message > 40", (gap,))
        query(path, "UPDATE message SET id = id + ? WHERE id > 40", (gap,))
    ((root,),) = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'message'")
    whole = path.read_bytes()
    page = whole[(root - 1) * PAGE :][:PAGE]
    for at in range(int.from_bytes(page[3:5], "big")):  # each leaf but the last
        cell = int.from_bytes(page[12 + 2 * at :][:2], "big")
        leaf = int.from_bytes(page[cell:][:4], "big")
        path.write_bytes(whole)
        write_pages(path, {leaf - 1: bytes(PAGE)})
        found = list(salvage(path))
        assert 0 < sum(one.new_message is None for one in found) < 30
        assert len(found) == 60
        assert {one.problem for one in found} <= PROBLEMS


def test_a_long_message_with_a_flipped_bit_is_not_recovered(tmp_path):
    path = tmp_path / NAME
    with store_at(path) as store:
        put(store, new_message(content=[b"x" * CHUNK, b"y" * CHUNK, b"z"]), new_message())
        flip_bit(store.connection, piece=1, at=1000)
    assert list(salvaged(path)) == [2]


def test_messages_in_the_wal_are_recovered(tmp_path):
    store = open_store(tmp_path / "1.db")
    put(store, new_message())
    crashed = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    store.close()
    for name, octets in crashed.items():
        (tmp_path / name).write_bytes(octets)
    assert len(salvaged(rename_damaged(tmp_path / "1.db", "1"))) == 1


@pytest.mark.parametrize("damage", ["", "DELETE FROM journal", "DROP TABLE journal"])
def test_messages_in_the_journal_are_recovered(tmp_path, damage):
    with store_at(tmp_path / "1.db") as store:
        put(store, new_message(of=facts("s-1.1")))
        with committed(store):
            jobs = [
                store.post(new_message(of=facts(f"s-1.{at}")), NOW, at_once=True) for at in (2, 3)
            ]
        put(store, new_message(of=facts("s-1.4")))
        record(store, delivered(jobs[0][0]))
        if damage:
            store.connection.execute(damage)
    found = list(salvage(rename_damaged(tmp_path / "1.db", "1")))
    assert [one.new_message.facts.id for one in found] == ["s-1.1", "s-1.3", "s-1.4"]


def test_absorbed_messages_are_recovered_once(tmp_path):
    with store_at(tmp_path / "1.db") as store:
        with committed(store):
            jobs = [
                store.post(new_message(of=facts(f"s-1.{at}")), NOW, at_once=True)[0]
                for at in range(3)
            ]
        with committed(store):
            store.absorb()
        record(store, delivered(jobs[0]))
        store.connection.execute("UPDATE message SET facts = '{' WHERE id = 2")
    path = rename_damaged(tmp_path / "1.db", "1")
    assert sorted(salvaged(path)) == [3]
    query(path, "DELETE FROM journal")  # so that the state of the journal is unknown
    assert sorted(salvaged(path)) == [1, 2, 3]


def test_a_locked_file_is_not_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.0)
    path = written(tmp_path / NAME, 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM message")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            list(salvage(path))
        other.execute("ROLLBACK")


def test_a_replaced_file_refuses_later_batches(tmp_path):
    path = written(tmp_path / NAME, 6)
    found = list(salvage(path))
    with store_at(tmp_path / "1.db") as store, committed(store):
        progress = put_back(store, NAME, Progress(), found[:3])
    with store_at(tmp_path / "2.db") as store, committed(store):
        with pytest.raises(ReplacedError):
            put_back(store, NAME, progress, found[3:])
        assert store.is_empty()
