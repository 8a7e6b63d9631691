"""The text of a list in pieces: runs of plain lines, and all other lines one by one.

Almost all lines of a big list are plain: an address in its canonical form, and perhaps a note in
ASCII. One expression finds the end of a run of them, and a run is split at once, which takes a
third of the time of parsing each line. The form is that of the fast path of `entry.parse_line`, or
with a note one that the full grammar reads as the same key.

Limits: a run is part of a block. Of a line longer than MAX_LINE only the beginning is returned.
"""

import re
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from gatepost.lists.entry import MAX_LINE
from gatepost.lists.text import BLOCK, Text
from gatepost.model.address import MAX_LABEL

_WORD = rb"[a-z0-9_+=-]++"
_LABEL = rb"[a-z0-9]++(?:-++[a-z0-9]++)*+"
# So short that no label can exceed its limit.
_SHORT = rb"(?![^ \t\r\n]{%d})" % (MAX_LABEL + 1)
_ADDRESS = rb"%b%b(?:\.%b)*+@%b(?:\.%b)*+" % (_SHORT, _WORD, _WORD, _LABEL, _LABEL)
_PLAIN_LINES = re.compile(rb"(?:%b(?:[ \t][ -~\t]*+)?+\r?+\n)*+" % _ADDRESS)
_NOT_ALONE = re.compile(rb"[ \t\r]")


class Run(NamedTuple):
    """Consecutive plain lines: where they start, their keys, and their lengths with line ends."""

    offset: int
    keys: list[bytes]
    lengths: list[int]


class Line(NamedTuple):
    """Any other line: where it starts, and its octets."""

    offset: int
    raw: bytes


def pieces(text: Text) -> Iterator[Run | Line]:
    """Yield the whole text, in order."""
    for offset, block in _blocks(text):
        at = 0
        while at < len(block):
            end = _end_of_run(block, at)
            if end > at:
                yield _run(offset + at, block[at:end])
                at = end
            if at < len(block):
                end = block.find(b"\n", at) + 1 or len(block)
                yield Line(offset + at, block[at : min(end, at + MAX_LINE + 1)])
                at = end


def _end_of_run(block: bytes, at: int) -> int:
    match = _PLAIN_LINES.match(block, at)
    return at if match is None else match.end()


def _run(offset: int, lines: bytes) -> Run:
    if _NOT_ALONE.search(lines) is None:
        keys = lines.split(b"\n")
        keys.pop()
        return Run(offset, keys, [len(key) + 1 for key in keys])
    with_ends = lines.splitlines(keepends=True)
    return Run(offset, [line.split(None, 1)[0] for line in with_ends], list(map(len, with_ends)))


def _blocks(text: Text) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines with their offsets; of a line longer than a block its start."""
    offset = 0
    while block := text.read(offset, BLOCK):
        end = block.rfind(b"\n") + 1
        if end:
            yield offset, block[:end]
            offset += end
        else:
            yield offset, block
            offset = _next_line(text, offset + len(block))


def _next_line(text: Text, offset: int) -> int:
    while block := text.read(offset, BLOCK):
        end = block.find(b"\n") + 1
        if end:
            return offset + end
        offset += len(block)
    return offset


def count_lines(text: Text, every: int) -> "array[int]":
    """Return the number of line ends before each multiple of `every`, up to the end of the text."""
    counts, count = array("I", [0]), 0
    for start in range(0, text.size, every * (BLOCK // every)):
        block = text.read(start, every * (BLOCK // every))
        for at in range(0, len(block) - every + 1, every):
            count += block.count(b"\n", at, at + every)
            counts.append(count)
    return counts
