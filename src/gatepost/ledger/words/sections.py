"""Sections of rows, as text and as plain values; `gatepost.ledger.words.html` is the third form.

A column's kind determines how its values are written.

Security: names in rows come from clients; each form makes them safe itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any, Literal, NamedTuple, TypeAlias

from gatepost.ledger.words.fitting import Line, Part, columns, cut, padded, wrapped
from gatepost.ledger.words.wording import FULL, duration, moment, number, octets

Kind: TypeAlias = Literal["text", "count", "octets", "seconds", "bar"]
Value: TypeAlias = str | int | float
Row: TypeAlias = Sequence[Value]

WIDTH = 80
# The longest bar, in characters.
BAR = 20


class Column(NamedTuple):
    """A column: its name in JSON, its title, and how its values are written."""

    name: str
    title: str
    kind: Kind = "count"


class Section(NamedTuple):
    """Rows under a title; `note` is a remark, such as the number of rows that are not shown."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""


class Report(NamedTuple):
    """The sections of a period; times are seconds since 1970."""

    since: float
    until: float
    sections: Sequence[Section]


def _bar(value: Value, most: float) -> str:
    """Return a bar; every count but zero has at least one character."""
    count = float(value) if isinstance(value, int | float) else 0.0
    return "#" * max(round(BAR * count / most), 1) if count > 0 and most > 0 else ""


_WRITTEN: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "count": number,
    "octets": octets,
    "seconds": duration,
}


def cells(section: Section) -> list[list[str]]:
    """Return the rows of a section as text."""
    most = max((float(row[-1]) for row in section.rows), default=0.0) if _has_bar(section) else 0.0
    return [
        [
            _bar(value, most) if column.kind == "bar" else _WRITTEN[column.kind](value)
            for column, value in zip(section.columns, row, strict=True)
        ]
        for row in section.rows
    ]


def _has_bar(section: Section) -> bool:
    return section.columns[-1].kind == "bar"


def title(found: Report, zone: tzinfo | None = None) -> str:
    """Return the title of a report, with its period."""
    since, until = (moment(one, FULL, zone) for one in (found.since, found.until))
    return f"Mail from {since} to {until}"


def as_text(found: Report, width: int = WIDTH, zone: tzinfo | None = None) -> Iterator[Line]:
    """Yield the lines of a report, each of at most `width` columns."""
    yield from ((Part(one, "heading"),) for one in wrapped(title(found, zone), width))
    for section in found.sections:
        yield ()
        yield (Part(cut(section.title, width), "heading"),)
        yield from _table(section, width)
        yield from ((Part(one),) for one in wrapped(section.note, width) if one)


def _table(section: Section, width: int) -> Iterator[Line]:
    """Yield the header and the rows; the first column is cut if the line is too long."""
    rows = cells(section)
    headers = [column.title for column in section.columns]
    table = [headers, *rows] if any(headers) else rows
    widths = [max(map(columns, column)) for column in zip(*table, strict=True)]
    spare = width - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(spare, 10))
    for row in table:
        parts = [
            padded(cell, size) if column.kind in ("text", "bar") else _to_the_right(cell, size)
            for column, cell, size in zip(section.columns, row, widths, strict=True)
        ]
        yield (Part(cut("  ".join(parts), width).rstrip()),)


def _to_the_right(cell: str, width: int) -> str:
    return " " * (width - columns(cell)) + cell


def as_data(found: Report) -> dict[str, Any]:
    """Return a report as plain values for JSON."""
    sections = {
        section.name: [
            dict(zip((column.name for column in section.columns), row, strict=True))
            for row in section.rows
        ]
        for section in found.sections
    }
    return {"since": found.since, "until": found.until, **sections}
