"""The journal of a spool file: octets that are durable at the price of one write and one sync.

Theory of operation
-------------------
Records are appended, all that came together with one sync. When none of them is needed any more the
file is written from its beginning again, as the next *generation*. So it neither grows nor shrinks:
where octets take the place of others the file system has nothing of its own to write down, and a
sync costs a fraction of what it costs after an append. For the same reason a file that has to grow
does so by GROWTH octets.

A record is its generation, the length and the CRC-32 of its payload, and the payload. What is read
ends where no record of the generation follows. One that is broken, with others behind it, is
stepped over and counted.

A group that could not be written or synced is overwritten with zeros: nobody may find what was
refused.

Trusts the disk to leave octets alone that are beside those it overwrites, as SQLite does. Security:
a generation is a random number, so that no sender can write what passes for a record.

Limits: `capacity` octets, CAPACITY at most; whoever adds records looks at `has_room`.
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


class Journal:
    """The file at `path`, made if it is not there, to be written from `end` on.

    Raises OSError.
    """

    def __init__(self, path: Path, generation: int, capacity: int, end: int = 0) -> None:
        self.path = path
        self.generation = generation
        self._capacity = capacity
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        self._allocated = os.fstat(self._file).st_size
        self._end = end
        self._written = 0
        self._records: list[bytes] = []
        self._waiting = 0
        sync_folder(path.parent)

    @property
    def is_unused(self) -> bool:
        """Whether there is no record of this generation."""
        return not (self._end or self._records)

    def has_room(self, size: int) -> bool:
        """Whether a record with `size` octets of payload fits in."""
        return self._end + self._waiting + HEADER.size + size <= self._capacity

    def add(self, payload: bytes) -> None:
        """Have a record written with the next `write`."""
        header = HEADER.pack(self.generation, len(payload), zlib.crc32(payload))
        self._records += (header, payload)
        self._waiting += len(header) + len(payload)

    def write(self) -> None:
        """Make durable what was added; it can be undone until `keep`. Raises OSError."""
        if not self._records:
            return
        group = b"".join(self._records)
        with naming(self.path):
            self._grow(self._end + len(group))
            self._written = len(group)
            _write(self._file, group, self._end)
            os.fdatasync(self._file)

    def _grow(self, size: int) -> None:
        while self._allocated < size:
            _write(self._file, bytes(GROWTH), self._allocated)
            self._allocated += GROWTH

    def keep(self) -> None:
        """Go on behind what was written."""
        self._end += self._written
        self._forget()

    def undo(self) -> None:
        """Forget what was added, written or not."""
        if self._written:
            try:
                _write(self._file, bytes(self._written), self._end)
                os.fdatasync(self._file)
            except OSError:
                # Nothing may come to stand before what is there now and must not be found.
                self.close_generation()
        self._forget()

    def close_generation(self) -> None:
        """Have room for nothing more until the next generation begins."""
        self._end = self._capacity

    def start_again(self, generation: int) -> None:
        """Begin another generation: no record of the one before is needed any more."""
        self.generation = generation
        self._end = 0
        self._forget()

    def _forget(self) -> None:
        self._records.clear()
        self._waiting = self._written = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _write(file: int, octets: bytes, place: int) -> None:
    left = memoryview(octets)
    while left:
        count = os.pwrite(file, left, place)
        left, place = left[count:], place + count


class Records:
    """The records of a generation among the octets of a file.

    Once `payloads` has come to its end, `end` is where that is, and `broken` how many octets before
    it are of no record.
    """

    def __init__(self, octets: bytes, generation: int) -> None:
        self._octets = octets
        self._generation = generation
        self.broken = 0
        self.end = 0

    def payloads(self) -> Iterator[bytes]:
        """Yield the payloads in their order."""
        while (start := self._next(self.end)) >= 0:
            payload = self._payload(start)
            assert payload is not None
            self.broken += start - self.end
            self.end = start + HEADER.size + len(payload)
            yield payload

    def _next(self, place: int) -> int:
        """Return where the next whole record begins, -1 where there is none."""
        mark = self._generation.to_bytes(8, "big")
        place = self._octets.find(mark, place)
        while place >= 0 and self._payload(place) is None:
            place = self._octets.find(mark, place + 1)
        return place

    def _payload(self, place: int) -> bytes | None:
        """Return the payload of the record at a place, None if it is broken."""
        start = place + HEADER.size
        if start > len(self._octets):
            return None
        _, length, crc = HEADER.unpack_from(self._octets, place)
        payload = self._octets[start : start + length]
        return payload if len(payload) == length and zlib.crc32(payload) == crc else None


def read(path: Path) -> bytes:
    """Return the octets of a journal, none if there is no file; raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    with naming(path), os.fdopen(file, "rb") as opened:
        return opened.read(CAPACITY + GROWTH)


def first_generation(octets: bytes) -> int:
    """Return the generation of the first record, 0 if there is none."""
    return HEADER.unpack_from(octets)[0] if len(octets) >= HEADER.size else 0
