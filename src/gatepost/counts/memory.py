"""The memory of the counters: one region for each worker, who alone writes it and all read.

Theory of operation
-------------------
The supervisor makes a file in memory and keeps it for good; workers inherit it. It begins with a
header: a version, the seed of all hashes, and which regions are in use. A region holds one table
for each `Table`. Its worker counts there, without locks, for nobody else writes to it; what is
counted of a key is the sum over the regions in use.

The supervisor gives a worker that starts a region full of noughts, and takes it back when the
process is gone, however it went: what it had counted is gone with it. Each time it changes the
version, by which the others see that they have to look again. The workers of a reload, old and new,
have regions side by side.

A process that serves alone has the same in memory of its own.

Limits: 576 KiB for each worker, whatever is counted; MAX_SLOTS of them at a time.
Security: workers can write to each other's regions, as they could stop each other anyway: they are
the same user's.
"""

import mmap
import os
import tempfile
from collections.abc import Callable
from enum import IntEnum
from typing import Self

from gatepost.counts.sketch import SEED_SIZE, SIZE

# Enough for 1,024 workers and the generations that may be under way in reloads.
MAX_SLOTS = 8192
# Parts of the file begin where memory can be mapped, on every kind of machine.
_ALIGNED = 64 * 1024
_WORD = 4

# The header: the version, the seed, an octet for each region.
_VERSION = 0
_SEED = 16
_FLAGS = 64
HEADER_SIZE = _ALIGNED


class CounterTable(IntEnum):
    """What is counted, each in a table of its own."""

    CONNECTIONS = 0
    NEW_CONNECTIONS = 1
    AUTH_ATTEMPTS = 2
    REFUNDED_ATTEMPTS = 3


SLOT_SIZE = _ALIGNED + len(CounterTable) * SIZE * _WORD


class Sketch:
    """One worker's part: its tables, and which window of time each is about."""

    __slots__ = ("tables", "windows")

    def __init__(self, memory: bytearray | mmap.mmap) -> None:
        words = memoryview(memory).cast("I")
        self.windows = words[: len(CounterTable)]
        first = _ALIGNED // _WORD
        self.tables = [words[first + SIZE * one : first + SIZE * (one + 1)] for one in CounterTable]


class Slot:
    """A worker's view of the board: `own` is its region, `regions` all that are in use."""

    __slots__ = ("_header", "_known", "_map", "_number", "_sketches", "_version", "own", "seed")

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
        self._known = {number: self.own}
        self._sketches: tuple[Sketch, ...] = (self.own,)

    @classmethod
    def standalone(cls) -> Self:
        """Return the view of a process that shares with nobody."""
        header = bytearray(HEADER_SIZE)
        header[_SEED : _SEED + SEED_SIZE] = os.urandom(SEED_SIZE)
        return cls(header, lambda _number: bytearray(SLOT_SIZE), 0)

    @classmethod
    def attach(cls, file: int, number: int) -> Self:
        """Return the view of the worker that was given region `number` of the inherited file."""
        return cls(_map_header(file), lambda other: _map_slot(file, other), number)

    @property
    def sketches(self) -> tuple[Sketch, ...]:
        """The regions in use, one's own among them."""
        if self._header[_VERSION] != self._version:
            self._look()
        return self._sketches

    def _look(self) -> None:
        self._version = self._header[_VERSION]
        flags = bytes(self._header.cast("B")[_FLAGS : _FLAGS + MAX_SLOTS])
        used = {number for number in range(len(flags.rstrip(b"\0"))) if flags[number]}
        used.add(self._number)
        known = self._known
        self._known = {one: known.get(one) or Sketch(self._map(one)) for one in sorted(used)}
        self._sketches = tuple(self._known.values())


class CounterMemory:
    """The supervisor's side. Raises OSError where there is no memory for it."""

    def __init__(self) -> None:
        self.file = _memory_file()
        os.ftruncate(self.file, HEADER_SIZE)
        self._header = _map_header(self.file)
        self._header[_SEED : _SEED + SEED_SIZE] = os.urandom(SEED_SIZE)
        self._made = 0

    def claim(self) -> int:
        """Return the number of a region full of noughts, in use from now on."""
        number = self._header.find(b"\0", _FLAGS, _FLAGS + MAX_SLOTS) - _FLAGS
        if number < 0:
            raise OSError("no room for the counters of another worker")
        if number < self._made:
            with _map_slot(self.file, number) as region:
                region[:] = bytes(SLOT_SIZE)
        else:
            self._made = number + 1
            os.ftruncate(self.file, HEADER_SIZE + SLOT_SIZE * self._made)
        self._mark(number, used=True)
        return number

    def release(self, number: int) -> None:
        """Take a region back: what is counted there counts no more."""
        self._mark(number, used=False)

    def _mark(self, number: int, *, used: bool) -> None:
        self._header[_FLAGS + number] = used
        words = memoryview(self._header).cast("I")
        words[_VERSION] = (words[_VERSION] + 1) & 0xFFFFFFFF

    def close(self) -> None:
        """Free the memory, once all workers are gone too."""
        os.close(self.file)


def _memory_file() -> int:
    """Return a file that only memory holds; where the system has none, one without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("gatepost-counts")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _map_header(file: int) -> mmap.mmap:
    return mmap.mmap(file, HEADER_SIZE)


def _map_slot(file: int, number: int) -> mmap.mmap:
    return mmap.mmap(file, SLOT_SIZE, offset=HEADER_SIZE + SLOT_SIZE * number)
