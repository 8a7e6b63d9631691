"""A long text on disk, read in pieces at offsets: a list file, or the text in an index.

It is read with pread and not mapped. The text then does not count as memory of this process, and a
file that is truncated by another program returns short reads instead of crashing this process.
"""

import io
import os
from collections.abc import Iterator
from typing import Any, Self

from gatepost.lists.entry import MAX_LINE
from gatepost.lists.lines import read_lines_with_offsets

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
