"""The limits within which archives are read, and streams that decompress within them.

Nothing is written to disk. An archive that makes a reader work more than `Budget` permits raises
`BombError`. One that cannot be read raises `BrokenError`.
"""

import bz2
import lzma
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

# The octets that are decompressed, or passed to a decompressor, at a time.
PIECE = 64 * 1024
# xz files of usual presets need 65 MiB at most to be decompressed.
_MEMORY = 80 * 1024 * 1024
# A file in an archive that is itself read as an archive. It is kept in memory.
LARGEST_MEMBER = 32 * 1024 * 1024
RATIO, TIME = "ratio", "time"


class BombError(Exception):
    """An archive exceeds a limit; its text is which, such as RATIO, TIME or "entries"."""


class BrokenError(Exception):
    """An archive cannot be read."""


class Member(NamedTuple):
    """A file in an archive.

    `head` returns its first octets, `read` all of them; both are None if the archive is only
    listed. They raise `BombError` and `BrokenError`, and are called before the next member is read.
    """

    name: str
    is_encrypted: bool = False
    head: Callable[[], bytes] | None = None
    read: Callable[[], bytes] | None = None


class Budget:
    """The work that is left for one message: entries, unpacked octets, seconds.

    `ratio` is the largest ratio of unpacked to packed octets of an archive whose unpacked octets
    are more than `octets`.
    """

    def __init__(
        self,
        entries: int = 10_000,
        octets: int = 100 * 1024 * 1024,
        ratio: int = 200,
        seconds: float = 10.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries = entries
        self.octets = octets
        self.ratio = ratio
        self._now = now
        self._deadline = now() + seconds

    def entry(self) -> None:
        """Count a file; raises `BombError`."""
        self.entries -= 1
        if self.entries < 0:
            raise BombError("entries")
        self.check_time()

    def unpack(self, size: int) -> None:
        """Count unpacked octets; raises `BombError`."""
        self.octets -= size
        if self.octets < 0:
            raise BombError("size")
        self.check_time()

    def check_time(self) -> None:
        """Raise `BombError` if the time is over."""
        if self._now() > self._deadline:
            raise BombError(TIME)

    def check_ratio(self, unpacked: int, packed: int) -> None:
        """Raise `BombError` if an archive claims a size that no usual file has."""
        if unpacked > self.octets and unpacked > self.ratio * max(1, packed):
            raise BombError(RATIO)


class _Decompressor(Protocol):
    """The common part of the decompressors of the standard library."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """A decompressor of gzip with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_MEMORY)


DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gz": _Gzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": _xz,
}


class Source(Protocol):
    """A stream of octets."""

    def read(self, size: int) -> bytes:
        """Return so many octets, fewer at the end."""


class Unpacked:
    """A decompressed stream, also of several streams behind each other."""

    def __init__(self, packed: bytes, kind: str, budget: Budget) -> None:
        self._packed, self._at = packed, 0
        self._make = DECOMPRESSORS[kind]
        self._stream = self._make()
        self._held = bytearray()
        self._size = 0
        self._budget = budget

    def read(self, size: int) -> bytes:
        """Return so many octets, fewer at the end; raises `BrokenError` and `BombError`."""
        while len(self._held) < size and self._more():
            pass
        found = bytes(self._held[:size])
        del self._held[:size]
        return found

    def _more(self) -> bool:
        """Decompress a piece; return false at the end."""
        if self._stream.eof and not self._next_stream():
            return False
        data = self._packed[self._at : self._at + PIECE]
        self._at += len(data)
        try:
            found = self._stream.decompress(data, PIECE)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError) as error:
            raise BrokenError(str(error)) from error
        self._size += len(found)
        if len(found) > self._budget.octets:
            self._budget.check_ratio(self._size, self._at)
        self._budget.unpack(len(found))
        self._held += found
        if not data and not found and not self._stream.eof:
            raise BrokenError("the end is missing")
        return True

    def _next_stream(self) -> bool:
        self._at -= len(self._stream.unused_data)
        rest = self._packed[self._at : self._at + PIECE]
        if not rest.strip(b"\0"):
            return False
        self._stream = self._make()
        return True


def read_all(source: Source) -> bytes:
    """Return all octets of a stream; raises `BombError` if they are more than LARGEST_MEMBER."""
    pieces, held = [], 0
    while piece := source.read(PIECE):
        pieces.append(piece)
        held += len(piece)
        if held > LARGEST_MEMBER:
            raise BombError("size")
    return b"".join(pieces)
