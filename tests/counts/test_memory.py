"""Who has which region of the counters' memory, and what of it others see."""

import tempfile

import pytest

from gatepost.counts import memory as module
from gatepost.counts.counters import Gauge
from gatepost.counts.memory import SLOT_SIZE, CounterMemory, CounterTable, Slot

WHERE = (7, 20_000)


@pytest.fixture
def board():
    made = CounterMemory()
    yield made
    made.close()


def sit(board):
    number = board.claim()
    return number, Gauge(Slot.attach(board.file, number), CounterTable.CONNECTIONS)


def test_each_sees_what_all_count(board):
    (_, first), (_, second) = sit(board), sit(board)
    assert [first.add(WHERE), second.add(WHERE), first.add(WHERE)] == [1, 2, 3]
    _, third = sit(board)
    assert [one.count(WHERE) for one in (first, second, third)] == [3, 3, 3]
    assert third.add(WHERE) == first.count(WHERE) == 4


def test_what_a_worker_that_is_gone_has_counted_counts_no_more(board):
    (gone, first), (_, second) = sit(board), sit(board)
    first.add(WHERE)
    assert second.add(WHERE) == 2
    board.release(gone)
    assert second.count(WHERE) == 1


def test_who_comes_after_begins_with_nothing(board):
    number, first = sit(board)
    first.add(WHERE)
    board.release(number)
    again, second = sit(board)
    assert again == number
    assert second.count(WHERE) == 0


def test_one_that_is_going_away_still_counts_for_itself(board):
    number, gauge = sit(board)
    gauge.add(WHERE)
    board.release(number)
    assert gauge.count(WHERE) == 1


def test_each_region_is_apart_from_all_others(board):
    numbers = [board.claim() for _ in range(3)]
    seats = [Slot.attach(board.file, number) for number in numbers]
    for value, slot in enumerate(seats, start=1):
        for table in CounterTable:
            size = len(slot.own.tables[table])
            slot.own.tables[table][:] = memoryview(bytes([value]) * 4 * size).cast("I")
            slot.own.windows[table] = value
    for value, slot in enumerate(seats, start=1):
        expected = int.from_bytes(bytes([value]) * 4, "little")
        assert {word for table in slot.own.tables for word in table} == {expected}
        assert set(slot.own.windows) == {value}


def test_two_that_are_alone_share_nothing():
    first, second = (Gauge(Slot.standalone(), CounterTable.CONNECTIONS) for _ in range(2))
    assert [first.add(WHERE), second.add(WHERE)] == [1, 1]
    assert Slot.standalone().seed != Slot.standalone().seed


def test_there_is_an_end_to_it(board, monkeypatch):
    monkeypatch.setattr(module, "MAX_SLOTS", 2)
    board.claim()
    board.claim()
    with pytest.raises(OSError, match="no room for the counters of another worker"):
        board.claim()


def test_where_the_system_has_no_files_in_memory(monkeypatch, tmp_path):
    monkeypatch.delattr(module.os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    board = CounterMemory()
    (_, first), (_, second) = sit(board), sit(board)
    first.add(WHERE)
    assert second.count(WHERE) == 1
    assert list(tmp_path.iterdir()) == []
    board.close()


def test_memory_does_not_grow_with_what_is_counted():
    assert SLOT_SIZE == 576 * 1024
