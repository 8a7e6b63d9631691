"""Octets that are no record, and records with impossible values, cost nothing but themselves."""

import sqlite3
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.made import START, encoded, transaction

from gatepost.ledger import kept
from gatepost.ledger.hashes import HASH_OCTETS, hash_of
from gatepost.ledger.kept import kept_of
from gatepost.ledger.records import Gap, RecordError, decode, encode
from gatepost.ledger.selection import Key, KeyKind, Selection
from gatepost.ledger.store import LedgerReader, LedgerWriter, index, schema

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=6,
)
fields = [
    "time",
    "ref",
    "client",
    "sender",
    "recipients",
    "size",
    "answers",
    "count",
    "since",
    "kind",
]
damaged = st.builds(
    lambda base, changes: msgspec.msgpack.encode(msgspec.to_builtins(base) | changes),
    st.sampled_from([transaction(1), Gap(START, START, 1)]),
    st.dictionaries(st.sampled_from(fields), values, max_size=3),
)


def is_half_readable(octets):
    """Return whether only fields are damaged that are neither indexed nor counted."""
    if not kept_of([octets]).bodies:
        return False
    try:
        decode(octets)
    except RecordError:
        return True
    return False


@settings(max_examples=60)
@given(st.lists(st.one_of(st.binary(max_size=40), damaged), max_size=10))
def test_any_octets_are_written_or_counted_and_the_good_record_is_found(octets):
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "ledger"
        made = LedgerWriter(folder, 1e9, 1 << 30, lambda: START, tail=1)
        made.add([*octets, *encoded(transaction(7, ref="good"))])
        made.commit()
        made.maintain()
        reader = LedgerReader(folder)
        records = list(reader.select(Selection()))
        half = sum(map(is_half_readable, octets))
        assert len(records) + half + made.lost == len(octets) + 1
        assert bool(reader.problems) == bool(half)
        assert reader.find(Key("ref", "good"))[0].ref == "good"
        assert reader.totals(0, 0).counts["result"]["accepted"] >= 1
        made.close()
        assert list(folder.glob("*.corrupt*")) == []


def test_a_deeply_nested_record_is_counted(make):
    one = make()
    one.add([b"\x82\xa4kind\xa6notice\xa5other" + b"\x91" * 100_000 + b"\x00"])
    one.commit()
    assert one.lost == 1


def test_a_record_that_is_too_large_is_counted(make, monkeypatch):
    monkeypatch.setattr(kept, "MAX_RECORD", 1000)
    one = make()
    one.add(encoded(transaction(1, subject="x" * 1000), transaction(2)))
    one.commit()
    assert one.lost == 1


@given(st.sampled_from(KeyKind.__args__), st.text())
def test_any_text_is_a_key(kind, text):
    assert len(hash_of(Key(kind, text))) == HASH_OCTETS


@pytest.mark.parametrize("text", ["\ud800", "\x00", "fe80::1%eth0", "1.2.3.4/99", "@", "."])
def test_odd_texts_are_keys(text):
    assert all(len(hash_of(Key(kind, text))) == HASH_OCTETS for kind in KeyKind.__args__)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=200),
    st.sampled_from([0, 1, 0x2020202020, (1 << 40) - 1]),
)
def test_the_index_finds_what_a_list_finds(records, base):
    """Few hashes, so that one fills many blocks; some of them contain each other's octets."""
    connection = opened()
    for number, (key, is_run) in enumerate(records, 1):
        add(connection, number, [[abs(base - key)]])
        if is_run and index.run_count(connection) < index.MAX_RUNS:
            index.write_run(connection)
    for key in range(4):
        hashes = [abs(base - one) for one, _ in records]
        expected = [number for number, one in enumerate(hashes, 1) if one == abs(base - key)]
        assert found(connection, abs(base - key)) == expected[::-1]
    connection.close()


def opened():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.upgrade(connection)
    return connection


def add(connection, first, hashes):
    octets = [[one.to_bytes(HASH_OCTETS, "big") for one in found] for found in hashes]
    connection.execute("INSERT INTO tail VALUES (?, ?)", (first, index.entries_of(first, octets)))


def found(connection, key):
    return list(index.search(connection, key.to_bytes(HASH_OCTETS, "big")))


def test_a_key_of_many_blocks_is_found_newest_first():
    connection = opened()
    count = index.BLOCK * 3 + 7
    for run in range(2):
        first = run * count + 1
        add(connection, first, [[5, number % 9 + 100] for number in range(first, first + count)])
        index.write_run(connection)
    assert found(connection, 5) == list(range(2 * count, 0, -1))
    assert found(connection, 104) == [n for n in range(2 * count, 0, -1) if n % 9 == 4]
    connection.close()


def test_a_number_in_an_entry_that_looks_like_the_hash_is_not_found():
    connection = opened()
    key = 0x0101010101
    add(connection, 0x010101, [[key + 1, key - 1]])
    assert found(connection, key) == []
    index.write_run(connection)
    assert found(connection, key) == []
    connection.close()


def test_the_octets_of_a_record_are_those_of_the_worker(make, folder):
    record = transaction(1)
    one = make()
    one.add([encode(record)])
    one.commit()
    assert list(LedgerReader(folder).select(Selection())) == [record]
