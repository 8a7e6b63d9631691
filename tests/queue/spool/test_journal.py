"""Kept records are read back, whatever surrounds them; undone records never are."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gatepost.queue.spool.journal import GROWTH, HEADER, MAX_FLIPS, Journal, RecordReader, read

CAPACITY = 1 << 16
FIRST, SECOND = 0x2545F4914F6CDD1D, 0x5851F42D4C957F2D


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "log", FIRST, CAPACITY)
    yield made
    made.close()


def group(journal, *payloads):
    for payload in payloads:
        journal.add(payload)
    journal.write()


def kept(journal, *payloads):
    group(journal, *payloads)
    journal.keep()


def found(journal, generation=FIRST):
    return list(RecordReader(read(journal.path), generation).payloads())


def test_kept_records_are_read_in_order(journal):
    kept(journal, b"a", b"")
    kept(journal, b"c" * 5000)
    assert found(journal) == [b"a", b"", b"c" * 5000]


def test_a_new_generation_hides_the_last_one(journal):
    kept(journal, b"old", b"older")
    journal.start_generation(SECOND)
    assert found(journal, SECOND) == []
    kept(journal, b"new")
    assert (found(journal, SECOND), found(journal)) == ([b"new"], [b"older"])


def test_undone_records_are_not_found(journal):
    kept(journal, b"a")
    group(journal, b"b", b"c", b"d")
    journal.undo()
    kept(journal, b"e")
    assert found(journal) == [b"a", b"e"]


def test_records_undone_before_the_write_are_not_written(journal):
    journal.add(b"a")
    journal.undo()
    kept(journal, b"b")
    assert found(journal) == [b"b"]


def fail(*_):
    raise OSError(5, "Input/output error")


def test_a_write_returns_when_its_octets_are_durable(journal):
    [flags] = [
        fcntl.fcntl(int(one.name), fcntl.F_GETFL)
        for one in Path("/proc/self/fd").iterdir()
        if one.resolve() == journal.path
    ]
    assert flags & os.O_DSYNC


def test_records_that_could_not_be_synced_are_not_found(journal, monkeypatch):
    """A synced write that fails may have written its octets."""
    kept(journal, b"a")
    write = os.pwrite

    def write_and_fail(*arguments):
        write(*arguments)
        fail()

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", write_and_fail)
        with pytest.raises(OSError, match=r"error.*log"):
            group(journal, b"b")
    assert found(journal) == [b"a", b"b"]
    journal.undo()
    assert found(journal) == [b"a"]


def test_a_failed_undo_closes_the_generation(journal, monkeypatch):
    group(journal, b"b", b"c")
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", fail)
        journal.undo()
    assert not journal.has_room(0)
    journal.start_generation(SECOND)
    assert journal.has_room(1)
    kept(journal, b"d")
    assert found(journal, SECOND) == [b"d"]


def test_the_capacity_is_exact(journal):
    most = CAPACITY - HEADER.size
    assert journal.has_room(most)
    assert not journal.has_room(most + 1)
    journal.add(b"x")
    assert not journal.has_room(most - 1)


def test_the_file_grows_in_steps_and_not_for_a_new_generation(journal):
    kept(journal, b"a")
    assert journal.path.stat().st_size == GROWTH
    journal.start_generation(SECOND)
    kept(journal, b"a" * CAPACITY)
    assert journal.path.stat().st_size == GROWTH


def test_only_the_owner_can_read_the_file(journal):
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        Journal(tmp_path / "log", FIRST, CAPACITY)
    with pytest.raises(OSError, match="symbolic links"):
        read(tmp_path / "log")


def test_content_cannot_forge_a_record(journal):
    forged = HEADER.pack(SECOND, 3, 0x352441C2) + b"abc"
    kept(journal, forged)
    octets = bytearray(read(journal.path))
    octets[12] ^= 1
    assert list(RecordReader(bytes(octets), FIRST).payloads()) == []


@settings(max_examples=200)
@given(
    payloads=st.lists(st.binary(max_size=40), min_size=1, max_size=8),
    cut=st.integers(0, 400),
    change=st.tuples(st.integers(0, 400), st.integers(1, 255)) | st.none(),
)
def test_intact_records_are_read_around_broken_ones(payloads, cut, change):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "log", FIRST, CAPACITY)
        kept(journal, *payloads)
        octets = bytearray(read(journal.path))[: sum(map(len, payloads)) + 16 * len(payloads)]
        journal.close()
    broken = octets[: max(0, len(octets) - cut)]
    if change is not None and change[0] < len(broken):
        broken[change[0]] ^= change[1]
    ends = [sum(map(len, payloads[:n])) + 16 * n for n in range(len(payloads) + 1)]
    places = list(zip(payloads, ends, ends[1:], strict=False))
    records = RecordReader(bytes(broken), FIRST)
    assert list(records.payloads()) == [
        payload
        for payload, start, end in places
        if broken[start + 8 : end] == octets[start + 8 : end] and is_near(broken, start)
    ]
    assert bool(records.broken) == any(
        broken[start:end] != octets[start:end]
        and (end <= records.end or (start == records.end and is_near(broken, start)))
        for _, start, end in places
    )


def is_near(octets, start):
    """Return whether the generation at a position differs in few bits only."""
    found = octets[start : start + 8]
    return len(found) == 8 and (int.from_bytes(found) ^ FIRST).bit_count() <= MAX_FLIPS


def test_a_flipped_generation_loses_no_record(journal):
    kept(journal, b"a")
    kept(journal, b"b")
    octets = bytearray(read(journal.path))
    octets[3] ^= 8
    records = RecordReader(bytes(octets), FIRST)
    assert list(records.payloads()) == [b"a", b"b"]
    assert records.broken == 8
    records = RecordReader(read(journal.path), FIRST ^ 0x10)
    assert list(records.payloads()) == [b"a", b"b"]
    assert records.broken == 16


def test_a_damaged_last_record_is_counted(journal):
    kept(journal, b"a", b"last")
    octets = bytearray(read(journal.path))
    octets[HEADER.size * 2 + 2] ^= 1
    records = RecordReader(bytes(octets), FIRST)
    assert list(records.payloads()) == [b"a"]
    assert records.broken == HEADER.size


class Writing(RuleBasedStateMachine):
    """The model: the records that were kept in this generation."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.generation = FIRST
        self.journal = Journal(self.folder / "log", FIRST, CAPACITY)
        self.kept = []

    def teardown(self):
        self.journal.close()
        shutil.rmtree(self.folder)

    @rule(payloads=st.lists(st.binary(max_size=30), max_size=4))
    def keep(self, payloads):
        kept(self.journal, *payloads)
        self.kept += payloads

    @rule(payloads=st.lists(st.binary(max_size=30), max_size=4))
    def undo(self, payloads):
        group(self.journal, *payloads)
        self.journal.undo()

    @rule()
    def start_generation(self):
        self.generation = (self.generation * 6364136223846793005 + 1) % (1 << 63)
        self.journal.start_generation(self.generation)
        self.kept = []

    @rule()
    def open_again(self):
        self.journal.close()
        records = RecordReader(read(self.folder / "log"), self.generation)
        assert list(records.payloads()) == self.kept
        self.journal = Journal(self.folder / "log", self.generation, CAPACITY, records.end)

    @invariant()
    def all_kept_records_are_found(self):
        records = RecordReader(read(self.folder / "log"), self.generation)
        assert list(records.payloads()) == self.kept
        assert not records.broken


TestWriting = Writing.TestCase
TestWriting.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
