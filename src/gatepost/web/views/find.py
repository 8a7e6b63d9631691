"""The view Find: what happened to the mail from A to B, with this reference, from this client.

One text is searched for as by `gatepost explain`, together with the filters. Each row is a message,
or a connection that ended without one.

A search that takes long stops, and the next page continues it: a page can have fewer rows, or none.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeGuard

import msgspec

from gatepost.ledger.matching import matcher
from gatepost.ledger.records import Connection, Delivery, Gap, Notice, Record, Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.store.reader import Place, Placed
from gatepost.ledger.words.listing import entry_of, is_notable
from gatepost.ledger.words.story import Story, stories
from gatepost.web.filters import EVER, Filters
from gatepost.web.paging import Page, page_of
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
STOPPED = "The search was stopped because it took long. Continue it for older messages."


def query(source: Source, filters: Filters) -> Shown:
    """Return the rows of a search; raises `SearchError` and `LedgerError`."""
    position = source.position()
    page = _page(source, filters)
    entries = [entry_of(one.main)._replace(ref=one.ref) for one in stories(page.records)]
    rows = [row_of_entry(one, filters) for one in entries]
    table = Table("messages", "Messages", MESSAGES, rows, EMPTY, STOPPED * page.is_stopped)
    facts = {
        "older": filters.url("/find", before=page.next) if page.next else "",
        "next": str(page.next) if page.next else "",
        "is_stopped": page.is_stopped,
        "position": position,
    }
    return Shown([table], facts)


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
    return msgspec.structs.replace(filters, period=period, since=0.0, until=0.0, before=None)


def _has_row(story: Story) -> bool:
    """Return whether a story is new: a delivery alone is of a message that has a row already."""
    return story.transaction is not None or story.connection is not None


def _page(source: Source, filters: Filters) -> Page:
    """Return the page of the first selection that has records."""
    page = Page([])
    for selection in selections(source, filters):
        page = _page_of(source, selection, filters)
        if page.records or page.is_stopped:
            return page
    return page


def _page_of(source: Source, selection: Selection, filters: Filters) -> Page:
    refs: set[str] = set()

    def rows(at: Place) -> Iterator[Placed]:
        for one in source.search(selection, at):
            if _is_row(one.record, filters.result):
                yield one

    def is_of_next(record: Record) -> bool:
        refs.add(getattr(record, "ref", ""))
        return len(refs) > ROWS

    return page_of(rows, filters.before, is_of_next)


def _is_row(record: Record, result: str) -> TypeGuard[Connection | Transaction | Delivery]:
    """Return whether a record is in the table, with this result if one is given."""
    if isinstance(record, Notice | Gap) or not is_notable(record):
        return False
    return not result or entry_of(record).result == result
