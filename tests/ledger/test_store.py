"""The ledger's files: what is written is found, by each key, in order, in all segments."""

import os
import stat
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.conftest import DAY
from tests.ledger.made import START, connection, delivery, encoded, transaction

from gatepost.ledger.keys import key_text, keys_of
from gatepost.ledger.position import Position
from gatepost.ledger.records import Gap
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerError, LedgerReader


def refs(records):
    return [record.ref for record in records]


def test_a_record_is_found_by_each_of_its_keys_in_any_spelling(make, write, folder):
    record = transaction(7, sender="Bob@Bücher.example", message_id=" <Mixed@x> ")
    write(make(), transaction(6), record, transaction(8))
    reader = LedgerReader(folder)
    for key in (
        Key("ref", "s7.1"),
        Key("ref", "s7"),
        Key("message_id", "Mixed@x"),
        Key("address", "BOB@xn--bcher-kva.example."),
        Key("domain", "@BÜCHER.example"),
        Key("ip", "::ffff:192.0.2.7"),
    ):
        assert reader.find(key) == [record], key
    assert len(reader.find(Key("network", "192.0.2.0/24"))) == 3
    assert reader.find(Key("ref", "s9")) == []


def test_a_reference_finds_the_connection_its_transactions_and_their_deliveries(
    make, write, folder
):
    records = connection(1), transaction(1), delivery(1)
    write(make(), *records, connection(2))
    reader = LedgerReader(folder)
    assert reader.find(Key("ref", "s1")) == [records[1], records[0]]
    assert reader.find(Key("ref", "s1.1")) == [records[2], records[1]]


def test_records_come_newest_first_from_all_segments(make, write, folder):
    writer = make(segment=10)
    write(writer, *(transaction(number) for number in range(45)))
    reader = LedgerReader(folder)
    assert refs(reader.select(Selection())) == [f"s{number}.1" for number in range(44, -1, -1)]
    assert refs(reader.select(Selection(), limit=2)) == ["s44.1", "s43.1"]
    assert refs(reader.find(Key("domain", "example.com"), limit=12))[-1] == "s33.1"
    assert len(list(folder.glob("*.sqlite"))) == 5


@pytest.mark.parametrize("selection", [Selection(), Selection(keys=[Key("domain", "example.com")])])
def test_records_can_come_oldest_first(make, write, folder, selection):
    writer = make(segment=250)
    writer.add(encoded(*(transaction(number) for number in range(230))))
    write(writer, *(transaction(number) for number in range(230, 300)))
    assert len(list(folder.glob("*.sqlite"))) == 2
    reader = LedgerReader(folder)
    newest_first = list(reader.select(selection))
    assert len(newest_first) == 300
    assert list(reader.select(selection, oldest_first=True)) == newest_first[::-1]
    assert refs(reader.select(selection, oldest_first=True, limit=2)) == ["s0.1", "s1.1"]


def test_a_record_with_the_same_hash_but_another_key_is_not_found(make, write, folder, monkeypatch):
    monkeypatch.setattr("gatepost.ledger.store.segment.hashes_of", lambda _: [b"same!"])
    monkeypatch.setattr("gatepost.ledger.store.reader.hash_of", lambda _: b"same!")
    write(make(), *(transaction(number) for number in range(5)))
    assert refs(LedgerReader(folder).find(Key("ref", "s3"))) == ["s3.1"]


def test_a_follower_gets_what_is_new_across_segments(make, write, folder):
    writer = make(segment=10)
    write(writer, transaction(1))
    news = LedgerReader(folder).follow(Selection(results=["accepted"]))
    assert news() == []
    write(writer, *(transaction(number) for number in range(2, 25)), connection(30))
    assert refs(news()) == [f"s{number}.1" for number in range(2, 25)]
    assert news() == []


def test_a_follower_goes_on_from_a_position(make, write, folder):
    writer = make(segment=10)
    news = LedgerReader(folder).follow(Selection())
    write(writer, *(transaction(number) for number in range(1, 15)))
    assert len(news()) == 14
    write(writer, *(transaction(number) for number in range(15, 40)))
    position = Position.parse(str(news.position))
    resumed = LedgerReader(folder).follow(Selection(), position)
    assert refs(resumed()) == [f"s{number}.1" for number in range(15, 40)] == refs(news())
    assert resumed.position == news.position
    assert resumed() == []


def test_a_follower_at_the_beginning_gets_everything_in_bounded_calls(
    make, write, folder, monkeypatch
):
    monkeypatch.setattr("gatepost.ledger.store.reader.MAX_NEWS", 4)
    writer = make(segment=10)
    for number in range(25):
        write(writer, transaction(number))
    news = LedgerReader(folder).follow(Selection(), Position(0, 0))
    calls = []
    while found := news():
        calls.append(refs(found))
    assert list(chain(*calls)) == [f"s{number}.1" for number in range(25)]
    assert max(map(len, calls)) <= 4


def test_another_follower_continues_after_each_piece(make, write, folder):
    writer = make(segment=10)
    for number in range(25):
        write(writer, transaction(number))
    pieces = LedgerReader(folder).follow(Selection(), Position(0, 0)).pieces(1000)
    everything = [record for piece in pieces for record in piece.records]
    assert len(pieces) == len(everything) == 25
    for number, piece in enumerate(pieces, start=1):
        resumed = LedgerReader(folder).follow(Selection(), piece.position)
        assert resumed.missed() == 25 - number
        assert resumed() == everything[number:]
        assert resumed.missed() == 0


def test_a_follower_reports_that_records_were_removed(make, write, folder, clock):
    writer = make(segment=10)
    write(writer, transaction(1))
    news = LedgerReader(folder).follow(Selection())
    assert news.missed() == 0
    write(writer, *(transaction(number) for number in range(2, 25)))
    assert news.missed() == 23
    clock.now += DAY + 1
    writer.maintain()
    write(writer, transaction(25))
    assert news.missed() is None


def test_a_position_of_another_ledger_is_now(make, write, folder):
    writer = make()
    write(writer, transaction(1))
    news = LedgerReader(folder).follow(Selection(), Position(99, 7))
    write(writer, transaction(2))
    assert refs(news()) == ["s2.1"]


@given(st.builds(Position, st.integers(0, 10**8 - 1), st.integers(0, 10**18 - 1)))
def test_a_position_is_read_as_it_was_written(position):
    assert Position.parse(str(position)) == position


@given(st.text())
def test_any_text_is_a_position_or_an_error(text):
    try:
        found = Position.parse(text)
    except ValueError:
        return
    assert all(number >= 0 for number in found)


def test_the_folder_is_private_and_has_one_writer(make, write, folder):
    write(make(), transaction())
    with pytest.raises(LedgerError, match="locked by another process"):
        make()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_records_that_were_committed_are_there_after_a_restart(make, write, folder):
    first = make(tail=10)
    write(first, *(transaction(number) for number in range(25)))
    first.close()
    second = make(tail=10)
    write(second, transaction(25))
    reader = LedgerReader(folder)
    assert len(reader.find(Key("domain", "client.example"))) == 26
    assert reader.totals(START, START + 1).counts["result"] == {"accepted": 26}


def test_an_undecodable_record_is_counted_and_the_others_are_written(make, write, folder):
    writer = make()
    writer.add([b"junk", *encoded(transaction(1)), *encoded(transaction(2, time=float("nan")))])
    writer.commit()
    assert (writer.lost, refs(LedgerReader(folder).select(Selection()))) == (2, ["s1.1"])


def test_old_segments_are_removed_with_their_companions(make, write, folder, clock):
    writer = make(segment=10, keep=DAY)
    write(writer, *(transaction(number) for number in range(25)))
    clock.now += DAY / 2
    write(writer, transaction(25))
    assert len(list(LedgerReader(folder).select(Selection()))) == 26
    clock.now += DAY / 2 + 1
    writer.maintain()
    assert refs(LedgerReader(folder).select(Selection())) == ["s25.1"]
    clock.now += DAY
    writer.maintain()
    assert refs(LedgerReader(folder).select(Selection())) == []
    assert len(list(folder.glob("*.sqlite"))) == 1


def test_the_oldest_segments_are_removed_when_the_ledger_is_too_large(make, write, folder):
    writer = make(segment=10_000, size=1 << 20)
    for number in range(20):
        write(writer, *(transaction(number, subject="x" * 500) for _ in range(150)))
    found = list(LedgerReader(folder).select(Selection()))
    assert found[0].ref == "s19.1"
    assert 500 < len(found) < 3000
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 << 20


def test_a_reader_of_a_removed_segment_goes_on(make, write, folder, clock):
    writer = make(segment=300)
    writer.add(encoded(*(transaction(number) for number in range(300))))
    writer.commit()
    reader = LedgerReader(folder)
    records = reader.select(Selection())
    first = next(records)
    clock.now += 2 * DAY
    writer.maintain()
    assert not (folder / "00000001.sqlite").exists()
    assert 1 + len(list(records)) == 300
    assert (first.ref, reader.problems) == ("s299.1", [])


def test_a_corrupt_segment_is_set_aside_and_a_gap_takes_its_place(make, write, folder):
    first = make()
    write(first, *(transaction(number) for number in range(20)))
    first.close()
    path = folder / "00000001.sqlite"
    path.write_bytes(b"junk" * 4096)
    writer = make()
    write(writer, transaction(99))
    gap, record = LedgerReader(folder).select(Selection())
    assert isinstance(gap, Gap)
    assert gap.cause == "the file 00000001.sqlite was corrupt"
    assert record.ref == "s99.1"
    assert [one.name for one in folder.glob("*.corrupt-*")] == ["00000001.corrupt-20231114T221320Z"]


def test_a_reader_skips_a_corrupt_segment_and_reports_it(make, write, folder):
    write(make(segment=10), *(transaction(number) for number in range(25)))
    damage(folder / "00000002.sqlite")
    reader = LedgerReader(folder)
    assert len(list(reader.select(Selection()))) == 15
    (problem,) = reader.problems
    assert problem == f"{folder}/00000002.sqlite: file is not a database"


def damage(path):
    with path.open("r+b") as file:
        file.write(os.urandom(100))


def test_no_ledger_is_an_error(tmp_path):
    with pytest.raises(LedgerError, match="no ledger"):
        LedgerReader(tmp_path / "none")


def test_every_key_of_a_record_has_the_text_of_a_key():
    record = transaction(3)
    texts = [key_text(Key(*text.split(":", 1))) for text in keys_of(record)]
    assert texts == keys_of(record)
