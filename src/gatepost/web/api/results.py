"""The results of operations. The OpenAPI document is made from these structs."""

from collections.abc import Mapping, Sequence

import msgspec

from gatepost.checks.trial.differences import Difference
from gatepost.checks.trial.result import Trial
from gatepost.ledger.records import Record
from gatepost.ledger.words.explain import explain
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.story import stories
from gatepost.web.table import Kind, Table
from gatepost.web.trials import Side, Tried


class RecordsPage(msgspec.Struct, frozen=True):
    """Records, the newest first. `next` is `before` of the next page, null on the last page.

    A page has fewer records than its limit, possibly none, if the search took too long.
    """

    records: Sequence[Record]
    next: str | None = None


class ColumnInfo(msgspec.Struct, frozen=True):
    """A column: its name in the rows, its title, and the kind of its values."""

    name: str
    title: str
    kind: Kind


class TableData(msgspec.Struct, frozen=True):
    """A table. Times are in seconds since 1970; 0 is none. `note` names what is left out."""

    title: str
    columns: Sequence[ColumnInfo]
    rows: Sequence[Mapping[str, str | int | float]]
    note: str = ""


class ViewData(msgspec.Struct, frozen=True):
    """The tables of a view. `next` is `before` of the next page, null on the last page."""

    tables: Mapping[str, TableData]
    next: str | None = None


class HealthData(msgspec.Struct, frozen=True):
    """The state of the server: "well", "warning" or "problem", with the reasons and tables."""

    level: str
    problems: Sequence[str]
    warnings: Sequence[str]
    tables: Mapping[str, TableData]


class MessageData(msgspec.Struct, frozen=True):
    """A message or a connection: what happened in one sentence, the explanation, the records."""

    ref: str
    headline: str
    explanation: Sequence[str]
    records: Sequence[Record]


class ChangedData(msgspec.Struct, frozen=True):
    """The number of recipients that were changed."""

    recipients: int


class AllowedData(msgspec.Struct, frozen=True):
    """An entry; times are in seconds since 1970. `warnings` are what else it allows."""

    what: str
    until: float
    at: float
    by: str
    note: str
    traps: bool
    warnings: Sequence[str] = ()


class ForgivenData(msgspec.Struct, frozen=True):
    """The number of entries that plugins had on record, by client and domain."""

    forgiven: Mapping[str, int]


class SideData(msgspec.Struct, frozen=True):
    """A trial with one configuration, its explanation and log; without a trial, the problem."""

    trial: Trial | None
    explanation: Sequence[str]
    log: str
    problem: str


class TrialData(msgspec.Struct, frozen=True):
    """A trial with the configuration of the server.

    `other` is one with another configuration, null without it. `differences` has each line of both.
    """

    now: SideData
    other: SideData | None
    differences: Sequence[Difference]


def trial_data(tried: Tried) -> TrialData:
    """Return the data of a trial."""
    other = None if tried.other is None else _side(tried.other)
    return TrialData(_side(tried.now), other, tried.differences)


def _side(side: Side) -> SideData:
    lines = [line for one in stories(side.records) for line in explain(one)]
    return SideData(side.trial, [plain(one).rstrip() for one in lines], side.log, side.problem)


def data_of(tables: Sequence[Table]) -> dict[str, TableData]:
    """Return tables by name."""
    return {one.name: _table(one) for one in tables}


def _table(table: Table) -> TableData:
    names = [one.name for one in table.columns]
    return TableData(
        table.title,
        [ColumnInfo(*one) for one in table.columns],
        [dict(zip(names, row.values, strict=True)) for row in table.rows],
        table.note,
    )
