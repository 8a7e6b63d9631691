"""The view Find: what happened to the mail from A to B, with this reference, from this client.

One text is searched for as by `gatepost explain`, together with the filters. Each row is a message,
or a connection that ended without one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeGuard

import msgspec

from gatepost.ledger.matching import matcher
from gatepost.ledger.records import Connection, Delivery, Gap, Notice, Record, Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import QueryTimeoutError
from gatepost.ledger.words.listing import entry_of, is_notable
from gatepost.ledger.words.story import Story, stories
from gatepost.web.filters import EVER, Filters
from gatepost.web.source import Source
from gatepost.web.table import Table
from gatepost.web.views.message_rows import MESSAGES, row_of_entry
from gatepost.web.views.searching import selections
from gatepost.web.views.view import Shown

ROWS = 50
EMPTY = (
    "No message and no refused connection matches. Use a longer period or fewer filters. Messages"
    " appear here about a second after their end."
)
STOPPED = "The search was stopped after some seconds. A shorter period finds more."


def query(source: Source, filters: Filters) -> Shown:
    """Return the rows of a search; raises `SearchError` and `LedgerError`."""
    position = source.position()
    records, is_complete = _records(source, filters)
    entries = [entry_of(one.main)._replace(ref=one.ref) for one in stories(records)]
    shown = entries[:ROWS]
    before = shown[-1].time if len(entries) > ROWS else 0.0
    older = filters.url("/find", before=before) if before else ""
    table = Table(
        "messages",
        "Messages",
        MESSAGES,
        [row_of_entry(one, filters) for one in shown],
        EMPTY,
        "" if is_complete else STOPPED,
    )
    return Shown([table], {"older": older, "next": before, "position": position})


def following(source: Source, filters: Filters) -> Callable[[Sequence[Record]], Table | None]:
    """Return a function for new records, the oldest first: it returns the table of their rows.

    The period does not count. Raises `SearchError`.
    """
    tests = [matcher(one) for one in selections(source, timeless(filters))]

    def is_chosen(record: Record) -> bool:
        return _is_row(record, filters.result) and any(test(record) for test in tests)

    def table(records: Sequence[Record]) -> Table | None:
        visible = map(source.scope.visible, records)
        found = stories(one for one in visible if one is not None and is_chosen(one))
        mains = [entry_of(one.main)._replace(ref=one.ref) for one in found if _has_row(one)]
        rows = [row_of_entry(one, filters) for one in reversed(mains)]
        return Table("messages", "Messages", MESSAGES, rows) if rows else None

    return table


def timeless(filters: Filters) -> Filters:
    """Return filters that select records of every time."""
    period = filters.period or EVER
    return msgspec.structs.replace(filters, period=period, since=0.0, until=0.0, before=0.0)


def _has_row(story: Story) -> bool:
    """Return whether a story is new: a delivery alone is of a message that has a row already."""
    return story.transaction is not None or story.connection is not None


def _records(source: Source, filters: Filters) -> tuple[list[Record], bool]:
    """Return the records of the first rows, and whether none is missing for lack of time."""
    for selection in selections(source, filters):
        found: list[Record] = []
        try:
            found.extend(_first(source, selection, filters.result))
        except QueryTimeoutError:
            return found, False
        if found:
            return found, True
    return [], True


def _first(source: Source, selection: Selection, result: str) -> Iterator[Record]:
    """Yield records until there are enough for all rows."""
    refs: set[str] = set()
    records = source.ledger.select(selection, limit=None)
    for record in records:
        if not _is_row(record, result):
            continue
        refs.add(record.ref)
        if len(refs) > ROWS + 1:
            return
        yield record


def _is_row(record: Record, result: str) -> TypeGuard[Connection | Transaction | Delivery]:
    """Return whether a record is in the table, with this result if one is given."""
    if isinstance(record, Notice | Gap) or not is_notable(record):
        return False
    return not result or entry_of(record).result == result
