"""Pages of a search: a page ends when it is full, or when the search took too long.

The next page begins at a place in the ledger, not at a time: records can have equal times, and are
only about in the order of their times. So no record is left out and none comes twice.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gatepost.ledger.position import FIRST, Position
from gatepost.ledger.records import Record
from gatepost.ledger.store import QueryTimeoutError
from gatepost.ledger.store.reader import Place, Placed

Search = Callable[[Place], Iterator[Placed]]


class Page(NamedTuple):
    """The records of a page, the place before which the next one is, None for the last page.

    `is_stopped` is whether it ended because of the time; it may have no records.
    """

    records: list[Record]
    next: Position | None = None
    is_stopped: bool = False


def page_of(search: Search, before: Position | None, is_of_next: Callable[[Record], bool]) -> Page:
    """Return the page before a place; `is_of_next` returns whether a record is on the next one."""
    start = before or FIRST
    at = Place(start)
    found: list[Record] = []
    try:
        for place, record in search(at):
            if is_of_next(record):
                return Page(found, place.after)
            found.append(record)
    except QueryTimeoutError:
        # Without progress, which is another request's load, the same page would follow.
        return Page(found, at.before if at.before < start else None, is_stopped=True)
    return Page(found)
