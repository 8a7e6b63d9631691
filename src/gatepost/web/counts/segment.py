"""Count what is visible of the records of one segment in a scope."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gatepost.ledger.extract import Extract, converted
from gatepost.ledger.hashes import hash_of
from gatepost.ledger.records import RecordError, decode
from gatepost.ledger.selection import Key
from gatepost.ledger.shape import Shapes
from gatepost.ledger.store.query import ORDERS, Row, with_any
from gatepost.ledger.store.segment import last_of
from gatepost.ledger.tally import Tally
from gatepost.web.counts.file import Found
from gatepost.web.scope import Scope

# Dimensions of pages for users with a scope; others are not kept.
DIMENSIONS = frozenset({"result", "reason", "shadow_reason", "trap", "trap_network", "dmarc"})
# Records that are counted together.
TOGETHER = 50


class State(NamedTuple):
    """A segment: the time of its first commit, its last record, the time of the newest one."""

    began: float
    last: int
    newest: float


class Step(NamedTuple):
    """A number of records: that of the last one, and the time of the oldest one, 0 without any."""

    number: int
    oldest: float


def state_of(connection: sqlite3.Connection) -> Iterator[State]:
    """Yield the state of a segment."""
    began, newest = connection.execute("SELECT began, newest FROM meta").fetchone()
    yield State(began, last_of(connection), newest or 0.0)


class ScopeTally:
    """Counts visible records of a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._keys = [hash_of(Key("domain", domain)) for domain in sorted(scope.domains)]
        self._tally = Tally()
        self._shapes = Shapes()

    def count(
        self, connection: sqlite3.Connection, after: int, *, oldest_first: bool = False
    ) -> Iterator[Step]:
        """Count the records after a number, and yield after each TOGETHER of them."""
        order = ORDERS[oldest_first]
        rows: list[Row] = []
        for row in with_any(connection, self._keys, after, order):
            rows.append(row)
            if len(rows) == TOGETHER:
                yield self._add(rows)
                rows = []
        if rows:
            yield self._add(rows)

    def _add(self, rows: Sequence[Row]) -> Step:
        extracts = list(self._visible(rows))
        self._tally.add(extracts, self._shapes.of(extracts))
        oldest = min((one.time for one in extracts), default=0.0)
        return Step(rows[-1][0], oldest)

    def _visible(self, rows: Sequence[Row]) -> Iterator[Extract]:
        for _, octets in rows:
            try:
                record = None if octets is None else decode(octets)
            except RecordError:  # the pages of messages report it
                continue
            found = None if record is None else self._scope.visible(record)
            if found is not None:
                yield converted(found)

    def cells(self) -> list[Found]:
        """Return the counts of the dimensions that pages show."""
        return [
            ((hour, dimension), counts)
            for (hour, dimension), counts in self._tally.cells()
            if dimension in DIMENSIONS
        ]
