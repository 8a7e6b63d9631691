"""The tables of a page: what is shown, exported as CSV and as JSON are the same rows.

The kind of a column determines how its values are written. A row can have the address of a page
with more about it.

Security: values come from clients. Templates escape them; a CSV cell that a spreadsheet would take
for a formula begins with an apostrophe; JSON is encoded.
"""

import csv
import io
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from gatepost.ledger.words.wording import duration, moment, number, octets
from gatepost.metrics.report import about

Kind: TypeAlias = Literal[
    "text",
    "address",
    "client",
    "domain",
    "result",
    "count",
    "change",
    "share",
    "trend",
    "octets",
    "seconds",
    "limit",
    "age",
    "time",
    "minute",
    "hour",
    "day",
]
Value: TypeAlias = str | int | float

# Forms of times by kind.
TIMES = {
    "time": "%a %d %b %H:%M:%S",
    "minute": "%d %b %H:%M",
    "hour": "%a %d %b %H:%M",
    "day": "%a %d %b %Y",
}
# Columns that are aligned to the right.
NUMBERS = frozenset({"count", "change", "share", "octets", "seconds", "limit"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# The columns from which on a table has the next size.
_MOST_COLUMNS = (5, 9, 12)
_SIZES = ("narrow", "medium", "wide", "vast")


class Column(NamedTuple):
    """A column: its name in exports, its title, and how its values are written."""

    name: str
    title: str
    kind: Kind = "text"


class Action(NamedTuple):
    """A link of a row to a page that asks before it changes something; `key` is on the keyboard."""

    title: str
    path: str
    key: str = ""


class Row(NamedTuple):
    """The values of a row, the path of the page about it, "" without one, and its actions."""

    values: Sequence[Value]
    link: str = ""
    actions: Sequence[Action] = ()


class Table(NamedTuple):
    """Rows under a title. `empty` is shown without rows, `note` below them."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: str = ""
    note: str = ""

    @property
    def has_actions(self) -> bool:
        """Return whether a row has actions."""
        return any(row.actions for row in self.rows)

    @property
    def size(self) -> str:
        """Return the room that its columns need: "narrow", "medium", "wide" or "vast"."""
        return _SIZES[bisect(_MOST_COLUMNS, len(self.columns))]

    @property
    def is_figures(self) -> bool:
        """Return whether all columns but the first are numbers."""
        return all(column.kind in NUMBERS for column in self.columns[1:])


def written(value: Value, kind: Kind, zone: tzinfo | None) -> str:
    """Return a value as a page shows it."""
    if kind in TIMES:
        return moment(float(value), TIMES[kind], zone) if value else ""
    return _WRITTEN[kind](value)


def _change(value: Any) -> str:
    return f"{value:+,}" if value else "0"


def _share(value: Any) -> str:
    return f"{100 * float(value):.1f} %"


def _duration(value: Any) -> str:
    return duration(value) if value else ""


def _limit(value: Any) -> str:
    """Return an upper limit of a time; 0 is above the last one."""
    return duration(value) if value else "more"


def _age(value: Any) -> str:
    return f"{about(value)} ago" if value else ""


_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "address": str,
    "client": str,
    "domain": str,
    "result": str,
    "count": number,
    "change": _change,
    "share": _share,
    "octets": octets,
    "seconds": _duration,
    "limit": _limit,
    "age": _age,
    "trend": str,
}


def as_csv(table: Table) -> bytes:
    """Return a table as CSV (RFC 4180); times are UTC."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        cells = zip(row.values, table.columns, strict=True)
        writer.writerow([_cell(value, column.kind) for value, column in cells])
    return out.getvalue().encode(errors="replace")


def _cell(value: Value, kind: Kind) -> Value:
    if kind in TIMES and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def as_json(table: Table) -> bytes:
    """Return a table as a JSON array with an object for each row; times are since 1970."""
    names = [column.name for column in table.columns]
    return msgspec.json.encode([dict(zip(names, row.values, strict=True)) for row in table.rows])
