"""What changed between two long texts, in whole lines, and in memory that does not grow with them.

Common text is compared in blocks, at the speed the disk cache gives it. Where the texts part, the
next lines of both are searched for the first place where they meet again, in windows that grow; a
handful of edits anywhere in millions of lines is found so in a tenth of a second. The hunks are
always right, though not always the smallest: what a window misses is taken out and put in again.

Limits: MAX_CHANGED octets taken out and put in; beyond, `difference` gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatepost.lists.text import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.lists.text import Text

# About 80,000 addresses, which take a sixth of a second to read.
MAX_CHANGED = 2 * 1024 * 1024

_WINDOWS = (16 * 1024, 256 * 1024, MAX_CHANGED)
# So many lines have to agree before two texts are taken to have met again.
_MEETING = 3
_END = (None,) * _MEETING


class Hunk(NamedTuple):
    """The lines of the old text from `start` to `end` (offsets) are now those of `added`."""

    start: int
    end: int
    added: bytes

    @property
    def changed(self) -> int:
        """How many octets it takes out and puts in."""
        return self.end - self.start + len(self.added)


def difference(old: Text, new: Text) -> list[Hunk] | None:
    """Return the hunks that make `new` of `old`, in order, or None where too much changed."""
    hunks: list[Hunk] = []
    room = MAX_CHANGED
    at, new_at = _common(old, 0, new, 0)
    while (at, new_at) != (old.size, new.size):
        lengths = _until_common(old, at, new, new_at)
        room -= sum(lengths or ())
        if lengths is None or room < 0:
            return None
        hunks.append(Hunk(at, at + lengths[0], new.read(new_at, lengths[1])))
        at, new_at = _common(old, at + lengths[0], new, new_at + lengths[1])
    return hunks


def _common(old: Text, at: int, new: Text, new_at: int) -> tuple[int, int]:
    """Return where two texts that agree from here on stop agreeing, at the start of a line."""
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
    """Return how many octets two blocks have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _until_common(old: Text, at: int, new: Text, new_at: int) -> tuple[int, int] | None:
    """Return how much of both comes before they have lines in common again, if it is found."""
    for size in _WINDOWS:
        lines, new_lines = _window(old, at, size), _window(new, new_at, size)
        meeting = _meet(lines, new_lines)
        if meeting is not None:
            length = min(_octets(lines[: meeting[0]]), old.size - at)
            return length, min(_octets(new_lines[: meeting[1]]), new.size - new_at)
    return None


def _window(text: Text, at: int, size: int) -> list[bytes | None]:
    """Return the whole lines of a window without their ends, and Nones where the text ends."""
    window = text.read(at, size)
    lines: list[bytes | None] = [*window.split(b"\n")]
    ended = at + len(window) == text.size
    return [*lines, *_END] if ended else lines[:-1]


def _meet(lines: list[bytes | None], new_lines: list[bytes | None]) -> tuple[int, int] | None:
    """Return after how many lines of each the same lines follow in both, if anywhere."""
    places = {run: place for place, run in reversed(list(enumerate(_runs(lines))))}
    for new_place, run in enumerate(_runs(new_lines)):
        if run in places:
            return places[run], new_place
    return None


def _runs(lines: list[bytes | None]) -> Iterator[tuple[bytes | None, ...]]:
    return zip(*(lines[start:] for start in range(_MEETING)), strict=False)


def _octets(lines: list[bytes | None]) -> int:
    return sum(len(line) + 1 for line in lines if line is not None)
