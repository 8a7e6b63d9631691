"""The lines of a list file as octets: bounded reading, whatever is in the file.

A line longer than MAX_LINE is cut short where that shows (`entry.decode_line` refuses it) and the
rest of it skipped, so that a file without line ends costs no memory.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from gatepost.lists.entry import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")

# Reading happens in a thread beside the event loop. Python lets another thread in after 5 ms at
# the latest, again and again; a short sleep every millisecond of work keeps the loop's answers
# fast while a list is read, for a tenth of a second in all.
_LINES_BETWEEN_PAUSES = 500
_PAUSE = 0.0002


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file from where it stands, line ends included."""
    return (line for _, line in read_lines_with_offsets(file))


def read_lines_with_offsets(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield every line with the offset it starts at, counted from where the file stands."""
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
    """Yield the same items, letting other threads run now and then."""
    for number, item in enumerate(items, start=1):
        if number % _LINES_BETWEEN_PAUSES == 0:
            time.sleep(_PAUSE)
        yield item
