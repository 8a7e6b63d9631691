"""The data of a page: the ledger, the queue and the health, as one user may see them.

Each request has a source of its own, which is used in one thread.

Limits: a query takes SECONDS at most. One whose result may be incomplete ends BRIEF seconds after
the request has come, a search after SEARCH, or after LEAST if other queries took longer.
MOST_QUEUED recipients of the queue are read.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from gatepost.checks.health import ServerHealth, health_of
from gatepost.config.schema import Config
from gatepost.ledger.position import Position
from gatepost.ledger.privacy import recorded_form
from gatepost.ledger.records import Record
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerReader, QueryTimeoutError
from gatepost.ledger.store.cells import CellCache
from gatepost.ledger.store.reader import Place, Placed
from gatepost.metrics.report import Report, read_report
from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import QueueEntry
from gatepost.queue.spool.admin import Selection as QueueSelection
from gatepost.queue.spool.changes import QueueChange
from gatepost.queue.spool.depth import Depth
from gatepost.web.counts.counted import ScopeCounts
from gatepost.web.counts.file import CountsFile
from gatepost.web.ledger import ScopedLedger
from gatepost.web.scope import Scope
from gatepost.web.spool import spool_errors

SECONDS = 5.0
BRIEF = 0.15
SEARCH = 0.3
LEAST = 0.1
MOST_QUEUED = 20_000
EVERYTHING = QueueSelection()


class Source:
    """Reads for one request of a user with a scope; `now` is in seconds since 1970.

    `cache` has counts for all requests.
    """

    def __init__(
        self,
        config: Config,
        scope: Scope,
        now: float | None = None,
        cache: CellCache | None = None,
    ) -> None:
        self.config = config
        self.scope = scope
        self._cache = cache
        self.now = time.time() if now is None else now
        self._began = time.monotonic()
        self._end = self._began + SECONDS

    def is_over(self) -> bool:
        """Return whether the time of this request is over."""
        return time.monotonic() > self._end

    @cached_property
    def ledger(self) -> ScopedLedger:
        """The ledger; raises `LedgerError` if there is none."""
        return self._ledger(SECONDS)

    def _ledger(self, seconds: float) -> ScopedLedger:
        """Return the ledger for queries that end some seconds after the request has come."""
        reader = self._reader(seconds)
        counts = ScopeCounts(self._reader(BRIEF), CountsFile(self.config.data_dir), self.scope)
        return ScopedLedger(reader, self.scope, counts)

    def _reader(self, seconds: float) -> LedgerReader:
        end = max(self._began + seconds, time.monotonic() + LEAST)
        return LedgerReader(self._folder, lambda: time.monotonic() > end, self._cache)

    def first(self, selection: Selection, limit: int) -> tuple[list[Record], bool]:
        """Return the newest records of a selection that are found soon, and whether it is all."""
        found: list[Record] = []
        try:
            placed = self._ledger(BRIEF).placed(selection, Place())
            found.extend(one.record for one in islice(placed, limit))
        except QueryTimeoutError:
            return found, False
        return found, len(found) < limit

    def search(self, selection: Selection, at: Place) -> Iterator[Placed]:
        """Yield the records of a selection before a place that are found soon, the newest first.

        Raises `QueryTimeoutError` if these may not be all; the place is where to go on.
        """
        return self._ledger(SEARCH).placed(selection, at)

    def position(self) -> Position:
        """Return the position after the last record; raises `LedgerError`."""
        return LedgerReader(self._folder, self.is_over).follow(Selection()).position

    @cached_property
    def recorded(self) -> Callable[[str], str]:
        """A function for addresses: as records have them if `ledger.privacy` hides them."""
        return recorded_form(self._folder, hidden="addresses" in self.config.ledger.privacy)

    def queue(
        self, selection: QueueSelection = EVERYTHING, change: QueueChange | None = None
    ) -> list[QueueEntry]:
        """Return visible recipients of the queue, with `change` those that it can change.

        Raises `QueueError`.
        """
        with spool_errors():
            entries = admin.entries(self.spool, selection, MOST_QUEUED, change=change)
            return list(self._visible(islice(entries, MOST_QUEUED)))

    def _visible(self, entries: Iterable[QueueEntry]) -> Iterator[QueueEntry]:
        for one in entries:
            if self.is_over():
                raise QueryTimeoutError
            if self.scope.has(one.sender) or self.scope.has(one.recipient):
                yield one

    def depth(self) -> Depth | None:
        """Return the depth of the whole queue, None with a scope; raises `QueueError`."""
        if not self.scope.is_everything:
            return None
        with spool_errors():
            return admin.depth(self.spool, self.now)

    def health(self) -> ServerHealth:
        """Return the health of the server; raises OSError."""
        return health_of(self.config, self.now)

    def report(self) -> Report | None:
        """Return the last report of the ledger process, None without one."""
        return read_report(self._folder / "status.json")

    @property
    def spool(self) -> Path:
        """The folder of the spool."""
        return self.config.data_dir / "spool"

    @property
    def _folder(self) -> Path:
        return self.config.data_dir / "ledger"
