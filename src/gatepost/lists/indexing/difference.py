"""The difference of two long texts in whole lines, computed in bounded memory.

Equal text is compared in blocks, at the speed of the disk cache. At a difference, the next lines of
both texts are searched for the first run of equal lines, in growing windows. This finds a few edits
in millions of lines in a tenth of a second. The hunks are always correct but not always minimal: if
a window misses a match, the hunk removes and adds the same lines.

Limits: MAX_CHANGED octets removed and added; beyond it `difference` returns None.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gatepost.lists.text import BLOCK, Text

# About 80,000 addresses; reading them takes a sixth of a second.
MAX_CHANGED = 2 * 1024 * 1024

_WINDOWS = (16 * 1024, 256 * 1024, MAX_CHANGED)
# The number of equal lines that end a difference.
_RUN = 3
_END = (None,) * _RUN


class Hunk(NamedTuple):
    """A change: the lines `added` replace the old text between the offsets `start` and `end`."""

    start: int
    end: int
    added: bytes

    @property
    def changed(self) -> int:
        """The number of octets removed and added."""
        return self.end - self.start + len(self.added)


def difference(old: Text, new: Text) -> list[Hunk] | None:
    """Return the hunks that turn `old` into `new`, in order; None if too much changed."""
    hunks: list[Hunk] = []
    left = MAX_CHANGED
    at, new_at = _common(old, 0, new, 0)
    while (at, new_at) != (old.size, new.size):
        lengths = _until_common(old, at, new, new_at)
        left -= sum(lengths or ())
        if lengths is None or left < 0:
            return None
        hunks.append(Hunk(at, at + lengths[0], new.read(new_at, lengths[1])))
        at, new_at = _common(old, at + lengths[0], new, new_at + lengths[1])
    return hunks


def _common(old: Text, at: int, new: Text, new_at: int) -> tuple[int, int]:
    """Return the start of the first line that differs, in both texts."""
    line, new_line = at, new_at
    while True:
        block, new_block = old.read(at, BLOCK), new.read(new_at, BLOCK)
        if block == new_block and len(block) < BLOCK:
            return at + len(block), new_at + len(block)
        same = len(block) if block == new_block else _common_length(block, new_block)
        end = block.rfind(b"\n", 0, same) + 1
        if end:
            line, new_line = at + end, new_at + end
        if block != new_block:
            return line, new_line
        at, new_at = at + same, new_at + same


def _common_length(one: bytes, other: bytes) -> int:
    """Return the length of the common prefix of two blocks."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _until_common(old: Text, at: int, new: Text, new_at: int) -> tuple[int, int] | None:
    """Return the lengths in both texts up to the next equal lines; None if not found."""
    for size in _WINDOWS:
        lines, new_lines = _window(old, at, size), _window(new, new_at, size)
        equal = _find_equal_run(lines, new_lines)
        if equal is not None:
            length = min(_octets(lines[: equal[0]]), old.size - at)
            return length, min(_octets(new_lines[: equal[1]]), new.size - new_at)
    return None


def _window(text: Text, at: int, size: int) -> list[bytes | None]:
    """Return the complete lines of a window without line ends; Nones mark the end of the text."""
    window = text.read(at, size)
    lines: list[bytes | None] = [*window.split(b"\n")]
    ended = at + len(window) == text.size
    return [*lines, *_END] if ended else lines[:-1]


def _find_equal_run(
    lines: list[bytes | None], new_lines: list[bytes | None]
) -> tuple[int, int] | None:
    """Return the positions of the first equal run of lines in both, or None."""
    positions = {run: position for position, run in reversed(list(enumerate(_runs(lines))))}
    for new_position, run in enumerate(_runs(new_lines)):
        if run in positions:
            return positions[run], new_position
    return None


def _runs(lines: list[bytes | None]) -> Iterator[tuple[bytes | None, ...]]:
    return zip(*(lines[start:] for start in range(_RUN)), strict=False)


def _octets(lines: list[bytes | None]) -> int:
    return sum(len(line) + 1 for line in lines if line is not None)
