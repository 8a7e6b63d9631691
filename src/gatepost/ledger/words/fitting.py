"""Text that fits into a number of columns of a terminal.

Characters of some scripts take two columns, and combining ones none. `rich` has the table.

Security: text comes from clients and plugins. Everything here makes it printable first, so that a
line stays one line and no character in it acts on the terminal.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len, chop_cells, set_cell_size

from gatepost.log.printable import printable

ELLIPSIS = "…"


class Part(NamedTuple):
    """A part of a line, and its style.

    A style is "heading", the result of a message or delivery such as "refused", or "" for none.
    """

    text: str
    style: str = ""


Line: TypeAlias = tuple[Part, ...]


def columns(text: str) -> int:
    """Return how many columns a text takes."""
    return cell_len(printable(text))


def cut(text: str, width: int) -> str:
    """Return a text of at most `width` columns; a longer one ends in an ellipsis."""
    safe = printable(text)
    if cell_len(safe) <= width:
        return safe
    return set_cell_size(safe, max(width - 1, 0)).rstrip() + ELLIPSIS[:width]


def padded(text: str, width: int) -> str:
    """Return a text of exactly `width` columns."""
    return set_cell_size(cut(text, width), width)


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text, each of at most `width` columns; a long word is divided."""
    line = ""
    for word in _words(text, width):
        joined = f"{line} {word}" if line else word
        if line and cell_len(joined) > width:
            yield line
            joined = word
        line = joined
    yield line


def _words(text: str, width: int) -> Iterator[str]:
    for word in printable(text).split():
        yield from chop_cells(word, width) if cell_len(word) > width else (word,)


def plain(line: Sequence[Part]) -> str:
    """Return a line without its styles."""
    return "".join(part.text for part in line)
