"""Keep records: take batches from a socket, write, export and count what they have.

One `Keeper` runs in the ledger process, or in a thread of an embedded server.

Theory of operation
-------------------
`run` waits for packets. Records are written with one commit every COMMIT seconds, and at once if
MANY wait. After a commit the store does the maintenance that new records need, and every EVERY
seconds the other: old files need no attention at each commit.

Records are numbered by their sender. A jump of the numbers is a gap: the sender has dropped records
because the ledger was too slow, or a ledger process had taken them over and was killed before its
commit. The number of the next record is committed with the records, so this is exact.

Limits: a kill loses the records of COMMIT seconds at most. SOURCES senders are remembered.
"""

import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gatepost.ledger.kept import Kept, kept_of
from gatepost.ledger.link import PACKET, Batch, decode_batch
from gatepost.ledger.records import Gap, encode
from gatepost.log.logger import get_logger

COMMIT = 0.5
EVERY = 5.0
MANY = 5000
SOURCES = 1000
# Packets that are read before the clock is asked.
_PACKETS = 64

_log = get_logger("gatepost.ledger")


Sink = Callable[[Kept], None]


class Store(Protocol):
    """The place that records are written to: `gatepost.ledger.store.LedgerWriter`.

    `positions` has the number of the next record of each sender; it is stored with each commit.
    """

    positions: dict[str, int]

    def add(self, records: Sequence[bytes]) -> Kept:
        """Take encoded records; return those that can be read."""

    def commit(self) -> None:
        """Write them."""

    def tend(self) -> None:
        """Do the maintenance that new records need."""

    def maintain(self) -> None:
        """Do all maintenance."""

    def close(self) -> None:
        """Write everything and close."""


class NoStore:
    """Writes nothing: for a server that only counts metrics."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}

    def add(self, records: Sequence[bytes]) -> Kept:
        """Return the records that can be read."""
        return kept_of(records)

    def commit(self) -> None:
        """Do nothing."""

    tend = maintain = close = commit


class Keeper:
    """Writes to `store`; each of `sinks` gets the records of a batch.

    `on_status` gets the state of a worker, `every` is called every EVERY seconds, `on_end` when all
    is written. `time` returns
    seconds since 1970, `monotonic` those of a clock that never jumps.
    """

    def __init__(
        self,
        store: Store,
        sinks: Sequence[Sink] = (),
        *,
        on_status: Callable[[bytes], None] | None = None,
        every: Callable[[], None] | None = None,
        on_end: Callable[[], None] | None = None,
        time: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._sinks = sinks
        self._on_status = on_status
        self._every = every
        self._on_end = on_end
        self._every_due = 0.0
        self._time = time
        self._monotonic = monotonic
        self._dropped: dict[str, int] = {}
        self._last_commit = time()
        self._due = 0.0
        self._waiting = 0
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return once everything that was sent is written."""
        self._stopping = True

    def run(self, sock: socket.socket) -> None:
        """Keep records until `stop`, or until all senders are closed."""
        sock.setblocking(False)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        self._due = self._monotonic() + COMMIT
        while True:
            ready = poll.poll(0 if self._stopping else COMMIT * 1000)
            ended = bool(ready) and not self._receive(sock)
            if ended or (self._stopping and not ready):
                break
            self._commit_if_due()
        self._store.commit()
        self._store.close()
        if self._on_end is not None:
            self._on_end()

    def _receive(self, sock: socket.socket) -> bool:
        """Take the packets that have arrived; return False if no more will come."""
        for _ in range(_PACKETS):
            try:
                packet = sock.recv(PACKET)
            except (BlockingIOError, InterruptedError):
                return True
            except ConnectionError:
                return False
            if not packet:
                return False
            self.take(packet)
            if self._waiting >= MANY:
                return True
        return True

    def _commit_if_due(self) -> None:
        now = self._monotonic()
        if self._waiting >= MANY or now >= self._due:
            self.commit()
            self._due = now + COMMIT
        if now >= self._every_due:
            self._every_due = now + EVERY
            self._store.maintain()
            if self._every is not None:
                self._every()

    def commit(self) -> None:
        """Write what has come, and do the maintenance that it needs."""
        self._store.commit()
        self._waiting = 0
        self._last_commit = self._time()
        self._store.tend()

    def take(self, packet: bytes) -> None:
        """Take one packet; one that cannot be read is logged."""
        try:
            batch = decode_batch(packet)
        except ValueError as error:
            _log.error("batch not readable", problem=str(error), octets=len(packet))
            return
        self._find_gap(batch)
        self._remember(batch)
        if batch.records:
            self._add(batch.records)
        if batch.status and self._on_status is not None:
            self._on_status(batch.status)

    def _add(self, records: Sequence[bytes]) -> None:
        kept = self._store.add(records)
        self._waiting += len(records)
        for sink in self._sinks:
            sink(kept)

    def _find_gap(self, batch: Batch) -> None:
        """Record that records before this batch are missing."""
        positions = self._store.positions
        missing = batch.number - positions.get(batch.source, 0)
        if missing <= 0 or not positions:  # nothing is remembered: a new ledger, or none
            return
        dropped = min(missing, batch.dropped - self._dropped.get(batch.source, 0))
        for count, cause in (
            (dropped, "the ledger was too slow"),
            (missing - max(dropped, 0), "the ledger process was killed"),
        ):
            if count > 0:
                gap = Gap(self._time(), self._last_commit, count, cause)
                self._add([encode(gap)])
                _log.error("records missing", count=count, cause=cause)

    def _remember(self, batch: Batch) -> None:
        positions = self._store.positions
        positions.pop(batch.source, None)
        positions[batch.source] = batch.number + len(batch.records)
        self._dropped[batch.source] = batch.dropped
        if len(positions) > SOURCES:
            oldest = next(iter(positions))
            del positions[oldest]
            self._dropped.pop(oldest, None)
