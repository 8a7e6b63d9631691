"""The journal of a spool file: an append-only log that costs one synced write per group.

Theory of operation
-------------------
Records are appended; all records of a group share one sync. When no record is needed any more, the
file is overwritten from its beginning, as the next *generation*. It therefore neither grows nor
shrinks: when octets replace others, the file system has no metadata to write, and a sync costs a
fraction of the sync after an append. For the same reason the file grows in steps of GROWTH octets.

A record is its generation, the length and the CRC-32 of its payload, and the payload. Reading ends
at the last record of the generation. A broken record is skipped and counted. So is one at the end,
which a crash can leave incomplete.

Two generations are random and differ in about half of their bits. So a record whose generation
differs in at most MAX_FLIPS bits is one of this generation, damaged by the disk. The same applies
if the expected generation itself is damaged.

A group that could not be written or synced is overwritten with zeros: refused messages must not be
found later.

The journal relies on the disk to leave octets alone that are next to those it overwrites, as SQLite
does. Security: a generation is a random number, so that a sender cannot forge a record.

Limits: `capacity` octets, CAPACITY at most; callers check `has_room` before they add records.
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

from gatepost.disk.durable import FILE_MODE, naming, sync_folder

CAPACITY = 16 << 20
GROWTH = 1 << 20
HEADER = Struct(">QII")
MAX_FLIPS = 4
# Octets of the generation.
_PREFIX = 8
# With O_DSYNC a write returns when its octets are durable, as after fdatasync: one system call for
# a group, so that the thread has to get the interpreter's lock back once.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DSYNC


class Journal:
    """The file at `path`, created if necessary, which is written from `end` on.

    Raises OSError.
    """

    def __init__(self, path: Path, generation: int, capacity: int, end: int = 0) -> None:
        self.path = path
        self.generation = generation
        self._capacity = capacity
        self._file = os.open(path, _FLAGS, FILE_MODE)
        self._allocated = os.fstat(self._file).st_size
        self._end = end
        self._written = 0
        self._records: list[bytes] = []
        self._pending = 0
        sync_folder(path.parent)

    @property
    def is_unused(self) -> bool:
        """Return whether there is no record of this generation."""
        return not (self._end or self._records)

    def has_room(self, size: int) -> bool:
        """Return whether a record with `size` octets of payload fits."""
        return self._end + self._pending + HEADER.size + size <= self._capacity

    def add(self, payload: bytes) -> None:
        """Add a record to the next `write`."""
        header = HEADER.pack(self.generation, len(payload), zlib.crc32(payload))
        self._records += (header, payload)
        self._pending += len(header) + len(payload)

    def write(self) -> None:
        """Make the added records durable; `undo` is possible until `keep`. Raises OSError."""
        if not self._records:
            return
        group = b"".join(self._records)
        with naming(self.path):
            self._grow(self._end + len(group))
            self._written = len(group)
            _write(self._file, group, self._end)

    def _grow(self, size: int) -> None:
        while self._allocated < size:
            _write(self._file, bytes(GROWTH), self._allocated)
            self._allocated += GROWTH

    def keep(self) -> None:
        """Keep the written records."""
        self._end += self._written
        self._clear()

    def undo(self) -> None:
        """Drop the added records, written or not."""
        if self._written:
            try:
                _write(self._file, bytes(self._written), self._end)
            except OSError:
                # A new record before these octets would make them readable again.
                self.close_generation()
        self._clear()

    def close_generation(self) -> None:
        """Refuse further records until the next generation."""
        self._end = self._capacity

    def start_generation(self, generation: int) -> None:
        """Start another generation: the records of the last one are not needed any more."""
        self.generation = generation
        self._end = 0
        self._clear()

    def _clear(self) -> None:
        self._records.clear()
        self._pending = self._written = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _write(file: int, octets: bytes, position: int) -> None:
    """Write octets and make them durable."""
    left = memoryview(octets)
    while left:
        count = os.pwrite(file, left, position)
        left, position = left[count:], position + count


class RecordReader:
    """Reads the records of a generation in the octets of a file.

    After `payloads` has ended, `end` is the end of the last record, and `broken` the number of
    damaged octets: those before `end` that belong to no record, damaged generations, and the header
    of a broken record at `end`.
    """

    def __init__(self, octets: bytes, generation: int) -> None:
        self._octets = octets
        self._generation = generation
        self.broken = 0
        self.end = 0

    def payloads(self) -> Iterator[bytes]:
        """Yield the payloads in order."""
        while (start := self._next(self.end)) >= 0:
            payload = self._payload(start)
            assert payload is not None
            self.broken += start - self.end + self._is_flipped(start) * _PREFIX
            self.end = start + HEADER.size + len(payload)
            yield payload
        if self._is_near(self.end):
            self.broken += HEADER.size

    def _is_near(self, position: int) -> bool:
        """Return whether a record of this generation starts here, intact or broken."""
        return self._distance(position) <= MAX_FLIPS

    def _is_flipped(self, position: int) -> bool:
        return self._distance(position) > 0

    def _distance(self, position: int) -> int:
        """Return the number of bits in which the generation at a position differs."""
        prefix = self._octets[position : position + _PREFIX]
        if len(prefix) < _PREFIX:
            return 8 * _PREFIX
        return (int.from_bytes(prefix, "big") ^ self._generation).bit_count()

    def _next(self, position: int) -> int:
        """Return the position of the next complete record, -1 if there is none."""
        if self._is_near(position) and self._payload(position) is not None:
            return position
        prefix = self._generation.to_bytes(_PREFIX, "big")
        position = self._octets.find(prefix, position)
        while position >= 0 and self._payload(position) is None:
            position = self._octets.find(prefix, position + 1)
        return position

    def _payload(self, position: int) -> bytes | None:
        """Return the payload of the record at a position, None if it is broken."""
        start = position + HEADER.size
        if start > len(self._octets):
            return None
        _, length, crc = HEADER.unpack_from(self._octets, position)
        payload = self._octets[start : start + length]
        return payload if len(payload) == length and zlib.crc32(payload) == crc else None


def read(path: Path) -> bytes:
    """Return the octets of a journal, empty if there is no file; raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    with naming(path), os.fdopen(file, "rb") as opened:
        return opened.read(CAPACITY + GROWTH)


def first_generation(octets: bytes) -> int:
    """Return the generation of the first record, 0 if there is none."""
    return HEADER.unpack_from(octets)[0] if len(octets) >= HEADER.size else 0
