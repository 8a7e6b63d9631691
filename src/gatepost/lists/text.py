"""The text of a list: its lines as octets, and pieces at offsets of a file or an index.

A line longer than MAX_LINE is truncated to a length that `entry.decode_line` refuses, and the rest
is skipped. A file without line ends therefore needs no extra memory.

Pieces are read with pread and not mapped. The text then does not count as memory of this process,
and a file that another program truncates returns short reads instead of crashing this process.
"""

import io
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Self, TypeVar

from gatepost.lists.entry import MAX_LINE

_T = TypeVar("_T")

# A thread reads the list while the event loop runs. Python switches threads after up to 5 ms, each
# time. A short sleep after every millisecond of work keeps the event loop responsive, and adds a
# tenth to the time.
_LINES_BETWEEN_PAUSES = 500
_PAUSE = 0.0002


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file from its current position, with their line ends."""
    return (line for _, line in read_lines_with_offsets(file))


def read_lines_with_offsets(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its offset from the current position of the file."""
    offset = 0
    readline = file.readline
    while line := readline(MAX_LINE + 1):
        yield offset, line
        offset += len(line)
        while len(line) > MAX_LINE and line[-1] != 0x0A:
            line = readline(MAX_LINE + 1)
            offset += len(line)
            if len(line) <= MAX_LINE:
                break


def with_pauses(items: Iterable[_T]) -> Iterator[_T]:
    """Yield the same items, with short pauses for other threads."""
    for number, item in enumerate(items, start=1):
        if number % _LINES_BETWEEN_PAUSES == 0:
            time.sleep(_PAUSE)
        yield item


BLOCK = 1024 * 1024
_USUAL_LINE = 256


class Text:
    """`size` octets of an open file from `start`. Closes the descriptor when deleted."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = size

    @classmethod
    def of_file(cls, descriptor: int, size: int) -> Self:
        """Return the first `size` octets of a file; the caller keeps its descriptor."""
        return cls(os.dup(descriptor), 0, size)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` octets from `offset`, fewer at the end of the text."""
        size = min(size, self.size - offset)
        return os.pread(self._descriptor, size, self._start + offset) if size > 0 else b""

    def line(self, offset: int) -> bytes:
        """Return the line that starts at `offset`, truncated after MAX_LINE octets."""
        piece = self.read(offset, _USUAL_LINE)
        end = piece.find(b"\n")
        if end < 0 and len(piece) == _USUAL_LINE:
            piece = self.read(offset, MAX_LINE + 1)
            end = piece.find(b"\n")
        return piece if end < 0 else piece[: end + 1]

    def lines(self, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield offset and line between two offsets; lines are truncated after MAX_LINE octets."""
        window = io.BufferedReader(_Window(self, offset, end), BLOCK)
        return ((offset + at, line) for at, line in read_lines_with_offsets(window))

    def lines_with(self, needles: tuple[bytes, ...]) -> Iterator[tuple[int, bytes]]:
        """Yield offset and line of lines that contain one of `needles` (lower case).

        Case is ignored. As fast as a substring search. Lines longer than a block are not found.
        """
        for start, block in self._blocks():
            for at in sorted(_line_starts(block.lower(), needles)):
                if start + at == 0 or self.read(start + at - 1, 1) == b"\n":
                    yield start + at, self.line(start + at)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        offset = 0
        while block := self.read(offset, BLOCK):
            whole = block[: block.rfind(b"\n") + 1] if len(block) == BLOCK else block
            yield offset, whole or block
            offset += len(whole or block)


def _line_starts(block: bytes, needles: tuple[bytes, ...]) -> set[int]:
    found = set()
    for needle in needles:
        at = block.find(needle)
        while at >= 0:
            found.add(block.rfind(b"\n", 0, at) + 1)
            at = block.find(needle, at + 1)
    return found


class _Window(io.RawIOBase):
    """The octets of a text between two offsets, as a file."""

    def __init__(self, text: Text, offset: int, end: int) -> None:
        super().__init__()
        self._text = text
        self._offset = offset
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._text.read(self._offset, min(len(view), self._end - self._offset))
        view[: len(piece)] = piece
        self._offset += len(piece)
        return len(piece)
