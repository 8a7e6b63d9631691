"""The rows of `gatepost traps list`: entries of the lists, and registered traps, with filters."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import click

from gatepost.cli.shared.output import print_line
from gatepost.lists.entry import ListEntry
from gatepost.registry.registry import last_lines
from gatepost.traps.notes import Marks, TrapState, read_marks
from gatepost.traps.table import TrapTable
from gatepost.traps.verdicts import TrapClass


class Row(NamedTuple):
    """An entry, its words, whether it is in the registry, and why it is not armed, if it is not."""

    entry: ListEntry
    marks: Marks
    registered: bool
    reason: str

    @property
    def state(self) -> str:
        """The state; entries of lists without one are armed."""
        return (self.marks.state or TrapState.ARMED).value

    @property
    def trap_class(self) -> str:
        """The class, pristine without one."""
        return (self.marks.trap_class or TrapClass.PRISTINE).value


class Filter(NamedTuple):
    """The rows to print; "" is every value."""

    trap_class: str = ""
    state: str = ""
    text: str = ""
    registered: bool = False

    def matches(self, row: Row) -> bool:
        """Return whether a row is to be printed."""
        return (
            self.trap_class in ("", row.trap_class)
            and self.state in ("", row.state)
            and self.text.lower() in f"{row.entry.key} {row.marks.note}".lower()
            and (row.registered or not self.registered)
        )


def rows(table: TrapTable, now: float) -> Iterator[Row]:
    """Yield all entries of the lists, then the present states of registered traps."""
    report = table.unarmed_entries()
    unarmed = {(one.entry.source, one.entry.line): one.reason.value for one in report}
    for source in table.lists:
        registered = source is table.registry
        for entry in last_lines(source.current) if registered else source.current:
            marks = read_marks(entry.note)
            if registered and marks.state is None:  # the line was cut off
                continue
            reason = unarmed.get((entry.source, entry.line), "") or _over(marks, now)
            yield Row(entry, marks, registered, reason)


def _over(marks: Marks, now: float) -> str:
    if marks.state is TrapState.RETIRED:
        return "retired"
    return "expired" if marks.is_over(now) else ""


def print_as_json(found: Iterable[Row]) -> None:
    """Print an array item by item, because there can be millions."""
    separator = "["
    for row in found:
        click.echo(separator)
        click.echo(json.dumps(_as_data(row)), nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")


def _as_data(row: Row) -> dict[str, object]:
    entry, marks = row.entry, row.marks
    return {
        "trap": entry.text,
        "kind": entry.kind.value,
        "class": row.trap_class,
        "state": row.state,
        "note": marks.note,
        "list": entry.source,
        "line": entry.line,
        "registered": row.registered,
        "armed": row.state == TrapState.ARMED.value and not row.reason,
        "not_armed_because": row.reason,
        "expires": marks.expires,
        "exempt": list(marks.exempt),
        "by": marks.by,
        "at": marks.at,
    }


def print_as_text(found: Iterable[Row]) -> None:
    """Print a line for each row."""
    for row in found:
        print_line("  ".join(_words(row)))


def _words(row: Row) -> Iterator[str]:
    entry, marks = row.entry, row.marks
    yield "registry" if row.registered else f"{entry.source}:{entry.line}"
    yield entry.text
    if marks.trap_class is not None:
        yield f"[{marks.trap_class.value}]"
    if marks.spoils:
        yield "[spoils]"
    if marks.state is TrapState.SHADOW:
        yield "[shadow]"
    if marks.expires and not row.reason:
        yield f"[expires {_day(marks.expires)}]"
    if marks.exempt:
        yield f"[exempt: {', '.join(marks.exempt)}]"
    if marks.note:
        yield marks.note
    if row.reason:
        yield f"[not armed: {row.reason}]"
    if marks.by:
        yield f"({marks.by}, {_day(marks.at)})"


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
