"""The ledger as one user of the dashboard sees it.

Every page and every export reads records and counts through `ScopedLedger`. Conditions apply to
what is visible of a record: a filter can therefore not test what the scope hides.

The counts of a user with a scope are made from the records (`counts`), as the totals of the ledger
are those of all domains.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

from gatepost.ledger.hashes import hash_of
from gatepost.ledger.matching import best_key, matcher
from gatepost.ledger.records import Record
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerReader, QueryTimeoutError
from gatepost.ledger.store.cells import Sums
from gatepost.ledger.store.reader import Place, Placed
from gatepost.ledger.totals import Counts
from gatepost.web.counts.counted import ScopeCounts
from gatepost.web.scope import Scope

Cell = tuple[int, str, Counts]
# As many records before a period are read until its older records are taken for not existing.
OLD = 500
# Records of a connection.
MOST_RELATED = 5000


class ScopedLedger:
    """Reads what is visible in a scope. The methods are those of `LedgerReader`."""

    def __init__(self, reader: LedgerReader, scope: Scope, counts: ScopeCounts) -> None:
        self._reader = reader
        self._scope = scope
        self._counts = counts
        self._connections: dict[bytes, Sequence[Record]] = {}

    def find(self, key: Key, limit: int = 100) -> list[Record]:
        """Return the records that have a key, the newest first."""
        selection = Selection(keys=[key])
        if key.kind != "ref":
            return list(self.select(selection, limit=limit))
        matches = matcher(selection)
        return list(islice(filter(matches, self._related(key)), limit))

    def _related(self, key: Key) -> Sequence[Record]:
        """Return what is visible of a connection, which a page asks for by several references."""
        hashed = hash_of(key)
        if hashed not in self._connections:
            visible = map(self._scope.visible, islice(self._reader.related(key), MOST_RELATED))
            self._connections[hashed] = [one for one in visible if one is not None]
        return self._connections[hashed]

    def select(self, selection: Selection, *, limit: int | None = None) -> Iterator[Record]:
        """Yield the records of a selection, the newest first."""
        return islice((one.record for one in self.placed(selection, Place())), limit)

    def placed(self, selection: Selection, at: Place) -> Iterator[Placed]:
        """Yield the records of a selection that are before a place, see `LedgerReader.placed`."""
        if self._scope.is_everything:
            return self._reader.placed(selection, at)
        return self._visible(selection, at)

    def _visible(self, selection: Selection, at: Place) -> Iterator[Placed]:
        matches = matcher(selection)
        for place, record in self._candidates(selection, at):
            found = self._scope.visible(record)
            if found is not None and matches(found):
                yield Placed(place, found)

    def _candidates(self, selection: Selection, at: Place) -> Iterator[Placed]:
        """Yield each record of a selection that may be visible once."""
        if best_key(selection) is not None:
            return _until_old(self._reader.placed(selection, at), selection.since)
        return self._of_domains(selection, at)

    def _of_domains(self, selection: Selection, at: Place) -> Iterator[Placed]:
        """Yield each record of a period with an address in the scope once.

        All are merged, not only those that are selected: so the place moves with each record.
        """
        places = {domain: Place(at.before) for domain in sorted(self._scope.domains)}
        recent = [
            _until_old(self._reader.placed(_of(domain, selection), place), selection.since)
            for domain, place in places.items()
        ]
        try:
            for one in heapq.merge(*recent, key=lambda one: one.place, reverse=True):
                if one.place < at.before:
                    at.before = one.place
                    yield one
        except QueryTimeoutError:
            # The record at this place may be read, but not merged yet.
            reached = max(place.before for place in places.values()).after
            at.before = min(at.before, reached)
            raise

    def cells(self, since: float, until: float, dimensions: Sequence[str]) -> Iterator[Cell]:
        """Yield counts by hour and dimension, see `LedgerReader.cells`."""
        if self._scope.is_everything:
            for hour, dimension, counts, _ in self._reader.cells(since, until, dimensions):
                yield hour, dimension, counts
            return
        yield from self._counts.cells(since, until, dimensions)

    def sums(self, since: float, until: float, dimension: str) -> Sums:
        """Return the sums of the counts of a dimension, see `LedgerReader.sums`."""
        if self._scope.is_everything:
            return self._reader.sums(since, until, dimension)
        sums = Sums({}, {}, {})
        for hour, _, counts in self._counts.cells(since, until, [dimension]):
            sums.add(hour, dimension, counts)
        return sums

    @property
    def counted_since(self) -> float:
        """The time from which on the counts that were read are complete, 0 if they all are."""
        return self._counts.since

    def extent(self) -> tuple[int, float] | None:
        """Return the number of records and the time of the oldest; None with a scope."""
        return self._reader.extent() if self._scope.is_everything else None

    @property
    def problems(self) -> Sequence[str]:
        """The files that cannot be read; they are not for users with a scope."""
        return self._reader.problems if self._scope.is_everything else ()


def _of(domain: str, selection: Selection) -> Selection:
    """Return a selection of all records of a domain in the period of another."""
    return Selection(since=selection.since, until=selection.until, keys=[Key("domain", domain)])


def _until_old(records: Iterator[Placed], since: float) -> Iterator[Placed]:
    """Yield records, the newest first, until OLD in a row are from before a time.

    They are in the order in which they were written, which is about that of their times.
    """
    old = 0
    for one in records:
        old = old + 1 if one.record.time < since else 0
        if old == OLD:
            return
        yield one
