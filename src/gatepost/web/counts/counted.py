"""The counts of a scope for a request: those of the file, and the records that it does not have.

The records are counted as long as the reader has time, the newest first. `since` is then the time
from which on the counts are complete, 0 if they are.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from gatepost.ledger.store import LedgerReader, QueryTimeoutError
from gatepost.ledger.store.files import File, identity_of
from gatepost.web.counts.file import Cell, CountsFile, Progress, Stored
from gatepost.web.counts.segment import ScopeTally, state_of
from gatepost.web.scope import Scope


class ScopeCounts:
    """Reads the counts of a scope; `reader` has a short time, and nothing else uses it."""

    def __init__(self, reader: LedgerReader, file: CountsFile, scope: Scope) -> None:
        self.since = 0.0
        self._reader = reader
        self._file = file
        self._scope = scope

    def cells(self, since: float, until: float, dimensions: Sequence[str]) -> Iterator[Cell]:
        """Yield counts by hour and dimension; an hour comes once for each segment that has it."""
        stored = self._stored(since, until, dimensions)
        files = self._reader.segments()
        valid = {file.number for file in files if _is_whole(file, stored)}
        tally = ScopeTally(self._scope)
        rest = [file for file in reversed(files) if file.number not in valid]
        self._count(rest, stored, (since, until), tally, valid)
        yield from (cell for number, cell in stored.cells if number in valid)
        for (hour, dimension), counts in tally.cells():
            if since <= hour < until and dimension in dimensions:
                yield hour, dimension, counts

    def _stored(self, since: float, until: float, dimensions: Sequence[str]) -> Stored:
        """Return what the file has; without one that can be read, everything is counted."""
        try:
            return self._file.read(self._scope, since, until, dimensions)
        except sqlite3.Error:
            return Stored({}, [])

    def _count(
        self,
        files: Iterable[File],
        stored: Stored,
        period: tuple[float, float],
        tally: ScopeTally,
        valid: set[int],
    ) -> None:
        """Count what the file lacks; add the segments whose stored counts are used to `valid`."""
        since, reached = period
        try:
            for file in files:
                state = self._reader.fact(file, "state", state_of)
                if state is None or state.newest < since:
                    continue
                progress = stored.progress.get(file.number, Progress(state.began))
                if progress.began == state.began:
                    valid.add(file.number)
                else:
                    progress = Progress(state.began)
                reached = state.newest
                for step in self._reader.read(file, partial(tally.count, after=progress.counted)):
                    reached = step.oldest or reached
        except QueryTimeoutError:
            self.since = reached


def _is_whole(file: File, stored: Stored) -> bool:
    progress = stored.progress.get(file.number)
    return progress is not None and progress.whole == identity_of(file.path) != ""
