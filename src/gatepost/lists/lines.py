"""The lines of a list file as octets, with bounded memory.

A line longer than MAX_LINE is truncated to a length that `entry.decode_line` refuses, and the rest
is skipped. A file without line ends therefore needs no extra memory.
"""

import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeVar

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
