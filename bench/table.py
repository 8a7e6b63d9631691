"""Print results as aligned text or as Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMES = 2  # leading columns with names, left-aligned; the others are right-aligned


@dataclass
class Table:
    """A title, column heads, and rows of cells as text."""

    title: str
    header: Sequence[str]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def text(self) -> str:
        """Return the table for a terminal."""
        lines = [tuple(self.header), *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        body = ("  ".join(_aligned(line, widths)).rstrip() for line in lines)
        return "\n".join([self.title, *body])

    def markdown(self) -> str:
        """Return the table for a document."""
        rule = ["---" if index < NAMES else "---:" for index in range(len(self.header))]
        lines = (_piped(line) for line in (self.header, rule, *self.rows))
        return "\n".join([f"### {self.title}", "", *lines])


def _aligned(line: Iterable[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if index < NAMES else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _piped(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float]) -> str:
    """Return the smallest and the largest of some values."""
    return f"{min(values):.3f} - {max(values):.3f}"
