"""The memory of the counters: one slot per worker, written by its worker and read by all.

Theory of operation ------------------- The supervisor creates a file in memory that the workers
inherit. It starts with a header: a version, the seed of all hashes, and a flag for each slot in
use. A slot holds one table for each `CounterTable`. Only its own worker writes to a slot, so no
locks are needed. The count of a key is the sum over all slots in use.

The supervisor assigns a zeroed slot to each new worker and releases it when the process has ended,
for whatever reason; its counts then disappear. Each assignment and release changes the version, so
that the workers read the flags again. During a reload, old and new workers have slots at the same
time.

A process without a supervisor uses the same structure in private memory.

Limits: 576 KiB per worker, independent of the number of keys; MAX_SLOTS workers at the same time.
Security: workers can write to each other's slots. They run as the same user and could disturb each
other anyway.
"""

import mmap
import os
from collections.abc import Callable
from enum import IntEnum
from typing import Final, Self

from gatepost.counts.sketch import SEED_SIZE, SIZE

# Enough for 1,024 workers and several generations during reloads.
MAX_SLOTS = 8192
# Parts of the file start at an offset that every kind of machine can map.
_ALIGNMENT = 64 * 1024
_WORD = 4

# The header: the version, the seed, one octet per slot.
_VERSION: Final = 0
_SEED = 16
_FLAGS = 64
HEADER_SIZE = _ALIGNMENT


class CounterTable(IntEnum):
    """The counted quantities; each has its own table."""

    CONNECTIONS = 0
    NEW_CONNECTIONS = 1
    AUTH_ATTEMPTS = 2
    REFUNDED_ATTEMPTS = 3


SLOT_SIZE = _ALIGNMENT + len(CounterTable) * SIZE * _WORD


class Sketch:
    """The counters of one worker: its tables and the time window of each."""

    __slots__ = ("tables", "windows")

    def __init__(self, memory: bytearray | mmap.mmap) -> None:
        words = memoryview(memory).cast("I")
        self.windows = words[: len(CounterTable)]
        first = _ALIGNMENT // _WORD
        self.tables = [words[first + SIZE * one : first + SIZE * (one + 1)] for one in CounterTable]


class Slot:
    """A worker's view of the memory: `own` is its sketch, `others` are those of other workers."""

    __slots__ = ("_header", "_map", "_mapped", "_number", "_others", "_version", "own", "seed")

    def __init__(
        self,
        header: bytearray | mmap.mmap,
        map_slot: Callable[[int], bytearray | mmap.mmap],
        number: int,
    ) -> None:
        self._header = memoryview(header).cast("I")
        self._map = map_slot
        self._number = number
        self._version = -1
        self.seed = bytes(header[_SEED : _SEED + SEED_SIZE])
        self.own = Sketch(map_slot(number))
        self._mapped = {number: self.own}
        self._others: list[Sketch] = []

    @property
    def number(self) -> int:
        """Return the number of the worker."""
        return self._number

    @classmethod
    def standalone(cls) -> Self:
        """Return the slot of a process without shared counters."""
        header = bytearray(HEADER_SIZE)
        header[_SEED : _SEED + SEED_SIZE] = os.urandom(SEED_SIZE)
        return cls(header, lambda _number: bytearray(SLOT_SIZE), 0)

    @classmethod
    def attach(cls, file: int, number: int) -> Self:
        """Return the slot `number` of the file that the worker has inherited."""
        return cls(_map_header(file), lambda other: _map_slot(file, other), number)

    @property
    def others(self) -> list[Sketch]:
        """The sketches in use, without `own`."""
        if self._header[_VERSION] != self._version:
            self._read_flags()
        return self._others

    def _read_flags(self) -> None:
        self._version = self._header[_VERSION]
        flags = bytes(self._header.cast("B")[_FLAGS : _FLAGS + MAX_SLOTS])
        used = {number for number in range(len(flags.rstrip(b"\0"))) if flags[number]}
        used.add(self._number)
        mapped = self._mapped
        self._mapped = {one: mapped.get(one) or Sketch(self._map(one)) for one in sorted(used)}
        self._others = [one for one in self._mapped.values() if one is not self.own]


class CounterMemory:
    """The supervisor's side. Raises OSError if there is not enough memory."""

    def __init__(self) -> None:
        self.file = _memory_file()
        os.ftruncate(self.file, HEADER_SIZE)
        self._header = _map_header(self.file)
        self._header[_SEED : _SEED + SEED_SIZE] = os.urandom(SEED_SIZE)
        self._created = 0

    def claim(self) -> int:
        """Assign a zeroed slot and return its number."""
        number = self._header.find(b"\0", _FLAGS, _FLAGS + MAX_SLOTS) - _FLAGS
        if number < 0:
            raise OSError("no free slot for the counters of another worker")
        if number < self._created:
            with _map_slot(self.file, number) as slot:
                slot[:] = bytes(SLOT_SIZE)
        else:
            self._created = number + 1
            os.ftruncate(self.file, HEADER_SIZE + SLOT_SIZE * self._created)
        self._mark(number, used=True)
        return number

    def release(self, number: int) -> None:
        """Release a slot; its counts no longer count."""
        self._mark(number, used=False)

    def _mark(self, number: int, *, used: bool) -> None:
        self._header[_FLAGS + number] = used
        words = memoryview(self._header).cast("I")
        words[_VERSION] = (words[_VERSION] + 1) & 0xFFFFFFFF

    def close(self) -> None:
        """Close the file; the memory is freed when all workers have exited too."""
        os.close(self.file)


def _memory_file() -> int:
    """Return an anonymous file in memory, or an unnamed temporary file."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("gatepost-counts")
    import tempfile  # noqa: PLC0415 - takes milliseconds, not needed on Linux

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _map_header(file: int) -> mmap.mmap:
    return mmap.mmap(file, HEADER_SIZE)


def _map_slot(file: int, number: int) -> mmap.mmap:
    return mmap.mmap(file, SLOT_SIZE, offset=HEADER_SIZE + SLOT_SIZE * number)
