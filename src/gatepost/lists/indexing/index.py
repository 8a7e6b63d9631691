"""The index of a big list: one file, mapped by every worker, for look-ups in microseconds.

The file is a private copy of the list's text, followed by tables:

    header       fixed size, with its own checksum (`Header`)
    text         the list at the time the index was built
    words        for each address and domain entry, sorted: crc32(key) << 32 | offset in the text
    fan-out      for each value of a hash's top 16 bits, the position of its first word
    line counts  the number of line ends before each KiB of the text, for an entry's line number
    specials     the offsets of lines without a word: patterns and bad lines

A look-up is a binary search among about 85 of 5.6 million words. The result is a candidate: its
line is read from the text and parsed, and its key is compared. The answer is therefore exact and
includes the note. This is also why crc32, the fastest hash available, is sufficient. The tables are
mapped (8 octets per entry, shared by all workers through the page cache). The text is read with
pread, so it does not count as memory of a worker.

A dict per worker would be faster but needs about 250 octets per entry in each worker.

Trusts the cache folder to be written by this program only. A file that is truncated or has another
version, byte order or checksum raises `IndexFileError`; the caller builds it again.

Limits: MAX_TEXT, because a word has 32 bits for the offset.
"""

import os
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from mmap import ACCESS_READ, MADV_WILLNEED, mmap
from pathlib import Path
from typing import NamedTuple, Self
from zlib import crc32

from gatepost.lists.text import Text

MAX_TEXT = 2**32 - 1
LINE_COUNT_EVERY = 1024
FAN_OUT = 2**16
# The text starts here. The start of the tables is rounded up to TABLE_ALIGNMENT: a mapping must
# start at a multiple of the page size, which is 64 KiB at most.
TEXT_START = 4096
TABLE_ALIGNMENT = 65536

# A longer line needs a second read.
_USUAL_LINE = 256
_MAGIC = b"GPINDEX2"
# In native byte order, as the tables; this detects a file from another kind of machine.
_LAYOUT = struct.Struct("=8sQ12Q")
_BYTE_ORDER = 0x0102030405060708
_CHECKSUM = struct.Struct("=I")


class IndexFileError(Exception):
    """The file is not a usable index; the message gives the reason."""


class Header(NamedTuple):
    """The contents of an index and the state of the list it was built from.

    The first five fields are the identity of the list file. `words`, `line_counts` and `specials`
    are the lengths of the tables, `domains` is the number of words of domain entries, `bad_lines`
    the number of bad lines.
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
        """Return the header in its file format."""
        packed = _LAYOUT.pack(_MAGIC, _BYTE_ORDER, *self)
        return packed + _CHECKSUM.pack(crc32(packed))

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        """Parse a header; raises `IndexFileError`."""
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
        """The state of the list file (`reloadable.FileIdentity`) that the text is a copy of."""
        return self[:5]

    @property
    def tables_size(self) -> int:
        """The size of the tables in octets."""
        return 8 * self.words + 4 * (FAN_OUT + 1 + self.line_counts + self.specials)


def hash_key(key: str) -> int:
    """Return the hash of a key, the sort key of words."""
    return crc32(key.encode("utf-8", "surrogatepass"))


class Index:
    """An open index: the candidates for a key, and the text."""

    def __init__(self, path: Path) -> None:
        """Open an index; raises `IndexFileError`, or OSError if there is none."""
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
        """Yield the offsets of entries that may have this key, in the order of the text."""
        hashed = hash_key(key)
        words, bucket = self._words, hashed >> 16
        end = self._fan_out[bucket + 1]
        at = bisect_left(words, hashed << 32, self._fan_out[bucket], end)
        while at < end and (word := words[at]) >> 32 == hashed:
            yield word & 0xFFFFFFFF
            at += 1

    def line(self, offset: int) -> tuple[bytes, int]:
        """Return the line that starts at `offset` and its number, counted from 1."""
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
