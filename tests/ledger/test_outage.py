"""A disk that is full or fails: records wait, the oldest are dropped, a gap has their number."""

import os
import sqlite3

import pytest
from tests.ledger.made import START, encoded, transaction

from gatepost.ledger.records import Gap
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerReader, buffer
from gatepost.ledger.store.segment import Segment


def everything(folder):
    return list(LedgerReader(folder).select(Selection()))


def events(caplog):
    """Return the events of the ledger; a thread of an earlier test may log others."""
    own = [one.getMessage() for one in caplog.records if one.name == "gatepost.ledger"]
    return [one.split(" problem=")[0].split(" lost=")[0] for one in own]


def batch(number, size=1000):
    return encoded(*(transaction(number * 10 + one, subject="x" * size) for one in range(10)))


def test_a_full_disk_loses_nothing_that_fits_into_the_buffer(make_disk, make, clock, caplog):
    small = make_disk(16)
    writer = make(small.root / "ledger", segment=10_000)
    writer.add(batch(0))
    writer.commit()
    with small.full():
        for number in range(1, 400):
            writer.add(batch(number))
            writer.commit()
            writer.maintain()
            clock.now += 1
        assert events(caplog) == ["ledger unavailable"]
    clock.now += 1
    writer.commit()
    assert events(caplog) == ["ledger unavailable", "ledger available"]
    assert (len(everything(small.root / "ledger")), writer.lost) == (4000, 0)


def test_a_longer_outage_drops_the_oldest_and_leaves_a_gap(make_disk, make, clock, monkeypatch):
    monkeypatch.setattr(buffer, "MAX_OCTETS", 50_000)
    small = make_disk(16)
    writer = make(small.root / "ledger", segment=10_000)
    with small.full():
        for number in range(20):
            writer.add(batch(number))
            writer.commit()
            clock.now += 1
        assert writer.lost > 0
    writer.commit()
    gap, *records = everything(small.root / "ledger")
    assert gap == Gap(clock.now, START, writer.lost, "the disk was full")
    assert len(records) == 200 - writer.lost
    assert records[0].ref == "s199.1"


@pytest.fixture
def full(monkeypatch):
    """A function that limits the pages of segments, which SQLite reports as a full disk."""
    opened = Segment._open
    pages = [1 << 30]

    def limited(segment):
        opened(segment)
        segment._connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    monkeypatch.setattr(Segment, "_open", limited)
    return lambda count: pages.__setitem__(0, count)


def test_sqlite_reports_a_full_disk_and_the_batch_is_written_once_later(
    make, folder, clock, full, caplog
):
    full(20)
    writer = make(segment=10_000)
    for number in range(30):
        writer.add(batch(number))
        writer.commit()
    assert events(caplog) == ["ledger unavailable"]
    full(1 << 30)
    clock.now += 1
    writer.commit()
    assert events(caplog)[-1] == "ledger available"
    found = [record.ref for record in everything(folder)]
    assert found == [f"s{number}.1" for number in reversed(range(300))]


def test_a_failure_of_the_checkpoint_keeps_counts_and_index(make, folder, clock, monkeypatch):
    writer = make(segment=10_000, tail=50)
    for number in range(6):
        writer.add(batch(number))
    writer.commit()
    failing = [OSError(28, "No space left on device")]
    seal = Segment.checkpoint

    def checkpoint(segment, now):
        if failing:
            raise failing.pop()
        seal(segment, now)

    monkeypatch.setattr(Segment, "checkpoint", checkpoint)
    writer.maintain()
    clock.now += 1
    writer.commit()
    reader = LedgerReader(folder)
    assert reader.totals(START, START).counts["result"] == {"accepted": 60}
    assert len(everything(folder)) == 60


def test_a_clock_that_is_set_back_does_not_prolong_an_outage(make, folder, clock, full):
    full(1)
    writer = make()
    writer.add(batch(1))
    writer.commit()
    full(1 << 30)
    clock.now -= 10_000
    writer.commit()
    assert len(everything(folder)) == 10


def test_what_cannot_be_written_at_the_end_is_counted(make, full):
    full(1)
    writer = make()
    writer.add(batch(1))
    writer.close()
    assert writer.lost == 10


def test_a_segment_locked_by_a_command_is_retried(make, folder, clock, caplog):
    writer = make()
    writer.add(batch(0))
    writer.commit()
    (path,) = folder.glob("*.sqlite")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer.add(batch(1))
    writer.commit()
    other.close()
    clock.now += 1
    writer.commit()
    assert events(caplog) == ["ledger unavailable", "ledger available"]
    assert len(everything(folder)) == 20


def test_a_segment_that_was_removed_is_replaced(make, folder):
    writer = make()
    writer.add(batch(0))
    writer.commit()
    for path in folder.glob("*.sqlite*"):
        path.unlink()
    writer.maintain()
    writer.add(batch(1))
    writer.commit()
    assert len(everything(folder)) == 10


def test_records_of_a_page_that_is_damaged_later_are_set_aside(make, folder, caplog):
    first = make(segment=10_000, tail=10_000)
    for number in range(40):
        first.add(batch(number))
    first.commit()
    first.close()
    (path,) = folder.glob("*.sqlite")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    writer = make(segment=10_000, tail=10_000)
    writer.add(batch(99))
    writer.commit()
    assert "ledger segment corrupt" in events(caplog)[0]
    assert len([one for one in everything(folder) if not isinstance(one, Gap)]) == 10
    assert (writer.lost, len(list(folder.glob("*.corrupt-*Z")))) == (0, 1)
