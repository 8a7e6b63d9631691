"""Queries of one segment: its records that a selection may have, found by the index or by time.

A query yields the number and the octets of a record. A number without octets is how far a search
has come that found nothing. No statement stays open between two records.
"""

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, groupby, takewhile
from typing import Any, NamedTuple, TypeAlias

import msgspec

from gatepost.ledger.hashes import hash_of
from gatepost.ledger.matching import best_key, letters_of
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import index
from gatepost.ledger.store.chunk import CHUNK, split
from gatepost.ledger.store.segment import last_of

# Rows of the table `chunk` that one statement reads, and records that it looks at.
PAGE = 50
WINDOW = 50_000
# A number after all records.
END = index.MAX_RECORDS

_CHUNK_OF = "SELECT id, records FROM chunk WHERE id <= ? ORDER BY id DESC LIMIT 1"
_PAGE = "SELECT id, letters, records FROM chunk WHERE id BETWEEN ? AND ?{} ORDER BY id{} LIMIT ?"

Row: TypeAlias = tuple[int, msgspec.Raw | None]
Query = Callable[[sqlite3.Connection], Iterator[Row]]


class Order(NamedTuple):
    """An order of records. `sort` takes the oldest first, `by` is the order of SQL."""

    sort: Callable[[list[Any]], Iterator[Any]]
    by: str


ORDERS = {False: Order(reversed, " DESC"), True: Order(iter, "")}


def query_of(selection: Selection, order: Order, end: int) -> Query:
    """Return the query of a segment for what may be selected before the number `end`."""
    key = best_key(selection)
    if key is None:
        find: Query = partial(_scan, selection=selection, order=order, end=end)
    else:
        find = partial(_look_up, key=hash_of(key), order=order, end=end)
    return lambda connection: find(connection) if _overlaps(connection, selection) else iter(())


def _overlaps(connection: sqlite3.Connection, selection: Selection) -> bool:
    """Return whether a segment has records of the time of a selection."""
    oldest, newest = connection.execute("SELECT oldest, newest FROM meta").fetchone()
    if oldest is None:
        return False
    return newest >= selection.since and (not selection.until or oldest < selection.until)


def _look_up(connection: sqlite3.Connection, key: bytes, order: Order, end: int) -> Iterator[Row]:
    newest_first = (one for one in index.search(connection, key) if one < end)
    return _records(connection, newest_first if order.by else reversed(list(newest_first)))


def _records(connection: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[Row]:
    first = 0
    records: list[msgspec.Raw] = []
    for number in numbers:
        if not first <= number < first + len(records):
            first, octets = connection.execute(_CHUNK_OF, (number,)).fetchone()
            records = split(octets)
        for record in records[number - first : number - first + 1]:
            yield number, record


def with_any(
    connection: sqlite3.Connection, keys: Iterable[bytes], after: int, order: Order
) -> Iterator[Row]:
    """Yield the records after a number that have one of some hashes, each once."""
    newest_first = heapq.merge(*(index.search(connection, key) for key in keys), reverse=True)
    numbers = (number for number, _ in groupby(takewhile(lambda one: one > after, newest_first)))
    return _records(connection, numbers if order.by else reversed(list(numbers)))


def _scan(
    connection: sqlite3.Connection, selection: Selection, order: Order, end: int
) -> Iterator[Row]:
    """Yield the records that may be selected by time, kind and result."""
    last = min(last_of(connection), end - 1)
    starts = list(range(1, last + 1, WINDOW))
    for start in order.sort(starts):
        window = (start, min(start + WINDOW - 1, last))
        yield from _scan_window(connection, selection, order, window, end)
        # A row that begins before the window can have records of it, which are not read yet.
        yield start + CHUNK, None


def _scan_window(
    connection: sqlite3.Connection,
    selection: Selection,
    order: Order,
    window: tuple[int, int],
    end: int,
) -> Iterator[Row]:
    """Yield the records of the rows that begin in a window, page by page."""
    letters = letters_of(selection)
    conditions = list(_conditions(selection, letters))
    more_conditions = "".join(f" AND {condition}" for condition, _ in conditions)
    statement = _PAGE.format(more_conditions, order.by)
    values = [value for _, value in conditions]
    low, high = window
    while rows := connection.execute(statement, (low, high, *values, PAGE)).fetchall():
        for first, found, octets in rows:
            each = zip(count(first), found, split(octets), strict=False)
            yield from order.sort(
                [(at, one) for at, letter, one in each if letter in letters and at < end]
            )
        low, high = (low, rows[-1][0] - 1) if order.by else (rows[-1][0] + 1, high)


def _conditions(selection: Selection, letters: str) -> Iterator[tuple[str, float | str]]:
    """Yield conditions of SQL, each with its value."""
    if selection.since:
        yield "newest >= ?", selection.since
    if selection.until:
        yield "oldest < ?", selection.until
    if selection.kinds or selection.results:
        yield "letters GLOB ?", f"*[{letters}]*"
