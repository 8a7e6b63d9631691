"""The shared memory of the counters: assignment of slots, and visibility of counts."""

import tempfile

import pytest

from gatepost.counts import memory as module
from gatepost.counts.counters import Gauge
from gatepost.counts.memory import SLOT_SIZE, CounterMemory, CounterTable, Slot

CELL = (7, 20_000)


@pytest.fixture
def memory():
    made = CounterMemory()
    yield made
    made.close()


def attach(memory):
    number = memory.claim()
    return number, Gauge(Slot.attach(memory.file, number), CounterTable.CONNECTIONS)


def test_each_worker_reads_the_counts_of_all(memory):
    (_, first), (_, second) = attach(memory), attach(memory)
    assert [first.add(CELL), second.add(CELL), first.add(CELL)] == [1, 2, 3]
    _, third = attach(memory)
    assert [one.count(CELL) for one in (first, second, third)] == [3, 3, 3]
    assert third.add(CELL) == first.count(CELL) == 4


def test_counts_of_a_released_slot_do_not_count(memory):
    (gone, first), (_, second) = attach(memory), attach(memory)
    first.add(CELL)
    assert second.add(CELL) == 2
    memory.release(gone)
    assert second.count(CELL) == 1


def test_a_reused_slot_starts_at_zero(memory):
    number, first = attach(memory)
    first.add(CELL)
    memory.release(number)
    again, second = attach(memory)
    assert again == number
    assert second.count(CELL) == 0


def test_a_worker_with_a_released_slot_still_reads_its_own_counts(memory):
    number, gauge = attach(memory)
    gauge.add(CELL)
    memory.release(number)
    assert gauge.count(CELL) == 1


def test_slots_and_tables_do_not_overlap(memory):
    numbers = [memory.claim() for _ in range(3)]
    slots = [Slot.attach(memory.file, number) for number in numbers]
    for value, slot in enumerate(slots, start=1):
        for table in CounterTable:
            size = len(slot.own.tables[table])
            slot.own.tables[table][:] = memoryview(bytes([value]) * 4 * size).cast("I")
            slot.own.windows[table] = value
    for value, slot in enumerate(slots, start=1):
        expected = int.from_bytes(bytes([value]) * 4, "little")
        assert {word for table in slot.own.tables for word in table} == {expected}
        assert set(slot.own.windows) == {value}


def test_standalone_slots_share_nothing():
    first, second = (Gauge(Slot.standalone(), CounterTable.CONNECTIONS) for _ in range(2))
    assert [first.add(CELL), second.add(CELL)] == [1, 1]
    assert Slot.standalone().seed != Slot.standalone().seed


def test_claim_fails_without_a_free_slot(memory, monkeypatch):
    monkeypatch.setattr(module, "MAX_SLOTS", 2)
    memory.claim()
    memory.claim()
    with pytest.raises(OSError, match="no free slot for the counters of another worker"):
        memory.claim()


def test_a_system_without_memory_files_uses_an_unnamed_file(monkeypatch, tmp_path):
    monkeypatch.delattr(module.os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    memory = CounterMemory()
    (_, first), (_, second) = attach(memory), attach(memory)
    first.add(CELL)
    assert second.count(CELL) == 1
    assert list(tmp_path.iterdir()) == []
    memory.close()


def test_the_size_of_a_slot_is_fixed():
    assert SLOT_SIZE == 576 * 1024
