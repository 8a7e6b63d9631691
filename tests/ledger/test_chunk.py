"""Rows of several records: order, filters, and one that is damaged."""

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.made import START, connection, delivery, encoded, transaction

from gatepost.ledger.kept import kept_of
from gatepost.ledger.matching import letter_of, letters_of
from gatepost.ledger.records import Gap, Notice
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerReader
from gatepost.ledger.store.chunk import CHUNK, rows_of, split

MANY = 2 * CHUNK + 20


def mixed(number):
    result = "refused" if number % 7 == 0 else "accepted"
    return transaction(number, time=START + number, result=result)


def refs(records):
    return [record.ref for record in records]


def test_records_of_several_rows_come_newest_first(make, folder):
    writer = make(segment=10 * MANY)
    writer.add(encoded(*map(mixed, range(MANY))))
    writer.commit()
    reader = LedgerReader(folder)
    expected = [f"s{number}.1" for number in reversed(range(MANY))]
    assert refs(reader.select(Selection())) == expected
    assert refs(reader.find(Key("domain", "example.com"), limit=MANY)) == expected
    assert refs(reader.find(Key("ref", "s60.1"))) == ["s60.1"]
    assert refs(reader.select(Selection(results=["refused"]))) == expected[::-1][::7][::-1]
    assert list(reader.select(Selection(kinds=["connection"]))) == []
    late = reader.select(Selection(since=START + MANY - 5, until=START + MANY - 2))
    assert refs(late) == expected[2:5]


def test_a_follower_gets_all_rows(make, folder):
    writer = make(segment=10 * MANY)
    writer.commit()
    writer.add(encoded(mixed(0)))
    writer.commit()
    news = LedgerReader(folder).follow(Selection())
    writer.add(encoded(*map(mixed, range(1, MANY))))
    writer.commit()
    assert refs(news()) == [f"s{number}.1" for number in range(1, MANY)]
    assert news() == []


def test_a_damaged_row_is_reported_and_the_others_are_read(make, folder):
    writer = make(segment=10 * MANY)
    writer.add(encoded(*map(mixed, range(MANY))))
    writer.close()
    (path,) = folder.glob("*.sqlite")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE chunk SET records = x'dc00ff' WHERE id = ?", (CHUNK + 1,))
    reader = LedgerReader(folder)
    expected = [*range(CHUNK), *range(2 * CHUNK, MANY)]
    assert refs(reader.select(Selection())) == [f"s{number}.1" for number in reversed(expected)]
    (problem,) = reader.problems
    assert problem.startswith(f"{path}: expected a record of the ledger")
    assert len(reader.find(Key("domain", "example.com"), limit=MANY)) == len(expected)


@given(st.lists(st.sampled_from([transaction(1), connection(2), delivery(3)]), max_size=MANY))
def test_rows_have_all_records_in_order(records):
    bodies = encoded(*records)
    rows = list(rows_of(kept_of(bodies), 1))
    assert [bytes(body) for row in rows for body in split(row.records)] == bodies
    assert "".join(row.letters for row in rows) == "".join(map(letter_of, records))
    assert [row.first for row in rows] == list(range(1, len(records) + 1, CHUNK))


def test_each_kind_and_result_has_a_letter_of_its_own():
    records = [
        *(transaction(1, result=one) for one in ("accepted", "refused", "deferred", "abandoned")),
        *(connection(1, reply=one) for one in ("", "421 4.3.2 later", "554 5.7.1 no")),
        delivery(1),
        Notice(START, "started"),
        Gap(START, START, 1),
    ]
    found = [letter_of(one) for one in records]
    assert sorted(found) == sorted(letters_of(Selection()))
    assert letters_of(Selection(kinds=["transaction"], results=["refused"])) == found[1]
    assert letters_of(Selection(kinds=["delivery"], results=["refused"])) == ""
