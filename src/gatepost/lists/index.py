"""The index of a big list: one file, mapped by every worker, that finds an address in microseconds.

The file is a private copy of the list's text and tables over it:

    header       fixed size, with a checksum of itself (`Header`)
    text         the list as it was when the index was built
    words        for each address and domain entry, sorted: crc32(key) << 32 | offset in the text
    fan-out      for each value of a key hash's top 16 bits, where its words begin
    line counts  how many lines end before each KiB of the text, for an entry's line number
    specials     the offsets of lines that the words do not lead to: patterns and bad lines

A look-up is a binary search among some 85 words of 5.6 million. What it finds is a candidate: the
line is read from the text, parsed, and its key compared, so that the answer is exact and the note
comes with it. crc32 is enough because of that, and it is the fastest hash there is. The tables are
mapped (8 octets an entry, shared by all workers through the page cache); the text is read with
pread, so that it is no worker's memory.

A dict per worker would be faster and take some 250 octets an entry in each of them.

Trusts the folder it is kept in to be written by this program only. A file that is cut short, has
another version, byte order or checksum is refused with `IndexFileError`, and built again.

Limits: MAX_TEXT, because a word has 32 bits for the offset.
"""

from __future__ import annotations

import os
import struct
from array import array
from bisect import bisect_left
from mmap import ACCESS_READ, MADV_WILLNEED, mmap
from typing import TYPE_CHECKING, NamedTuple, Self
from zlib import crc32

from gatepost.lists.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TEXT = 2**32 - 1
LINE_COUNT_EVERY = 1024
FAN_OUT = 2**16
# Where the text begins, and what the tables' place is rounded up to: a mapping has to begin at a
# multiple of the page size, which is 64 KiB at most.
TEXT_START = 4096
TABLE_ALIGNMENT = 65536

# More than that and reading the line takes a second look.
_USUAL_LINE = 256
_MAGIC = b"GPINDEX1"
# In the machine's own byte order, as the tables are: a file from another machine does not match.
_LAYOUT = struct.Struct("=8sQ12Q")
_BYTE_ORDER = 0x0102030405060708
_CHECKSUM = struct.Struct("=I")


class IndexFileError(Exception):
    """The file is no index that can be used; the message says why."""


class Header(NamedTuple):
    """What an index holds, and which state of the list it is a copy of.

    The first five are the list file's identity; `words`, `line_counts` and `specials` count
    the tables' items, `domains` the words of domains, `bad_lines` the lines that are no entry.
    """

    modified_ns: int
    changed_ns: int
    size: int
    inode: int
    device: int
    text_size: int
    tables_start: int
    words: int
    line_counts: int
    specials: int
    domains: int
    bad_lines: int

    def pack(self) -> bytes:
        """Return the header as it stands at the beginning of the file."""
        packed = _LAYOUT.pack(_MAGIC, _BYTE_ORDER, *self)
        return packed + _CHECKSUM.pack(crc32(packed))

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        """Read a header; raises `IndexFileError`."""
        packed = octets[: _LAYOUT.size]
        checksum = octets[_LAYOUT.size : _LAYOUT.size + _CHECKSUM.size]
        if checksum != _CHECKSUM.pack(crc32(packed)) or packed[:8] != _MAGIC:
            raise IndexFileError("not an index of this version, or damaged")
        _, byte_order, *fields = _LAYOUT.unpack(packed)
        if byte_order != _BYTE_ORDER:
            raise IndexFileError("made on a machine with another byte order")
        return cls(*fields)

    @property
    def identity(self) -> tuple[int, ...]:
        """Which state of the list file the text is a copy of (`source.Identity`)."""
        return self[:5]

    @property
    def tables_size(self) -> int:
        """How many octets the tables take."""
        return 8 * self.words + 4 * (FAN_OUT + 1 + self.line_counts + self.specials)


def hash_key(key: str) -> int:
    """Return the hash by which words are sorted."""
    return crc32(key.encode("utf-8", "surrogatepass"))


class Index:
    """An open index: candidates for a key, and the text they stand in."""

    def __init__(self, path: Path) -> None:
        """Open an index; raises `IndexFileError`, or OSError when there is none."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.header = _read_header(descriptor)
            tables = _map_tables(descriptor, self.header)
        except BaseException:
            os.close(descriptor)
            raise
        self.text = Text(descriptor, TEXT_START, self.header.text_size)
        self._split(memoryview(tables))

    def _split(self, tables: memoryview) -> None:
        header = self.header
        words_end = 8 * header.words
        self._words = tables[:words_end].cast("Q")
        rest = tables[words_end : header.tables_size].cast("I")
        self._fan_out = rest[: FAN_OUT + 1]
        self._line_counts = rest[FAN_OUT + 1 : FAN_OUT + 1 + header.line_counts]
        self.specials = array("I", rest[FAN_OUT + 1 + header.line_counts :])

    def candidates(self, key: str) -> Iterator[int]:
        """Yield the offsets of the entries whose key may be `key`, in the order of the text."""
        wanted = hash_key(key)
        words, bucket = self._words, wanted >> 16
        end = self._fan_out[bucket + 1]
        at = bisect_left(words, wanted << 32, self._fan_out[bucket], end)
        while at < end and (word := words[at]) >> 32 == wanted:
            yield word & 0xFFFFFFFF
            at += 1

    def line(self, offset: int) -> tuple[bytes, int]:
        """Return the line that starts at `offset`, and its number from 1."""
        start = offset - offset % LINE_COUNT_EVERY
        piece = self.text.read(start, LINE_COUNT_EVERY + _USUAL_LINE)
        at = offset - start
        number = self._line_counts[offset // LINE_COUNT_EVERY] + piece.count(b"\n", 0, at) + 1
        end = piece.find(b"\n", at) + 1
        return (piece[at:end] if end else self.text.line(offset)), number


def _read_header(descriptor: int) -> Header:
    header = Header.unpack(os.pread(descriptor, TEXT_START, 0))
    expected = header.tables_start + header.tables_size
    found = os.fstat(descriptor).st_size
    if found != expected:
        raise IndexFileError(f"expected {expected} octets, found {found}")
    return header


def _map_tables(descriptor: int, header: Header) -> mmap:
    tables = mmap(descriptor, header.tables_size, access=ACCESS_READ, offset=header.tables_start)
    tables.madvise(MADV_WILLNEED)
    return tables
