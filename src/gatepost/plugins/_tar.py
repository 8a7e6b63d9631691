"""List the files of a tar stream: the formats v7, ustar, GNU and pax.

It reads on behind the blocks of zeros at the end, because some programs do. Trusts: nothing.
Limits: a name has at most MAX_NAME octets.
"""

import re
from collections.abc import Iterator

from gatepost.plugins._unpacking import (
    LARGEST_MEMBER,
    PIECE,
    BombError,
    BrokenError,
    Budget,
    Member,
    Source,
)

BLOCK = 512
HEAD = 4096
MAX_NAME = 64 * 1024
_LONG_NAME, _PAX, _OTHERS = b"L", b"x", (b"K", b"g", b"X")
_PATH = re.compile(rb"(?:\A|\n)\d+ path=([^\n]*)")


def is_tar(block: bytes) -> bool:
    """Return whether a block is the first one of a tar file."""
    if len(block) < BLOCK or not block[:1].strip(b"\0"):
        return False
    block = block[:BLOCK]
    stated = _octal(block[148:156])
    return stated == sum(block) - sum(block[148:156]) + 8 * 32


def _octal(field: bytes) -> int:
    """Return a number in octal digits, or in base 256; -1 if it is none."""
    if field[:1] >= b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.replace(b"\0", b" ").split()
    try:
        return int(digits[0], 8) if digits else 0
    except ValueError:
        return -1


class _File:
    """The content of one file of the stream."""

    def __init__(self, source: Source, size: int, budget: Budget) -> None:
        self._source = source
        self._left = size + -size % BLOCK
        self._size = size
        self._budget = budget
        self._start = b""

    def head(self) -> bytes:
        """Return the first octets."""
        if not self._start:
            self._start = self._take(min(self._size, HEAD))
        return self._start

    def read(self) -> bytes:
        """Return all octets; raises `BombError` if they are too many."""
        if self._size > LARGEST_MEMBER:
            raise BombError("size")
        start = self.head()
        self._budget.check_time()
        return start + self._take(self._size - len(start))

    def _take(self, size: int) -> bytes:
        pieces = []
        while size > 0 and (piece := self._source.read(min(size, PIECE))):
            pieces.append(piece)
            size -= len(piece)
            self._left -= len(piece)
        return b"".join(pieces)

    def skip(self) -> None:
        """Pass over what has not been read; raises `BrokenError` if the stream ends."""
        while self._left > 0:
            piece = self._source.read(min(self._left, PIECE))
            self._budget.check_time()
            if not piece:
                raise BrokenError("the end is missing")
            self._left -= len(piece)


def tar_members(source: Source, budget: Budget) -> Iterator[Member]:
    """Yield the files of a tar stream; raises `BrokenError` and `BombError`."""
    name = b""
    while block := source.read(BLOCK):
        if not block.strip(b"\0"):
            budget.check_time()
            continue
        if not is_tar(block):
            raise BrokenError("a header is damaged")
        kind, size = block[156:157], _octal(block[124:136])
        if size < 0:
            raise BrokenError("a header is damaged")
        file = _File(source, size, budget)
        if kind in (_LONG_NAME, _PAX, *_OTHERS):
            budget.entry()
            name = _long_name(file, kind, size) or name
            continue
        yield Member(_name(block, name), head=file.head, read=file.read)
        name = b""
        file.skip()


def _long_name(file: _File, kind: bytes, size: int) -> bytes:
    """Return the name of the next file, b"" if it is not here."""
    if size > MAX_NAME:
        raise BombError("name")
    text = file.read()
    file.skip()
    if kind == _LONG_NAME:
        return text.rstrip(b"\0")
    paths = _PATH.findall(text) if kind == _PAX else []
    return bytes(paths[-1]) if paths else b""


def _name(block: bytes, name: bytes) -> str:
    prefix = block[345:500].rstrip(b"\0") if block[257:262] == b"ustar" else b""
    short = block[:100].partition(b"\0")[0]
    return (name or (prefix + b"/" if prefix else b"") + short).decode("utf-8", "replace")
