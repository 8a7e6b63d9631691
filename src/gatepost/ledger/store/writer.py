"""The writer of the ledger: one process has it, and no error of the disk leaves it.

Records wait in a buffer until `commit`. A full or failed disk begins an outage: the buffer keeps
what fits, and drops the oldest. A corrupt segment is set aside, and a new one is begun. What is
missing is recorded as a `Gap` as soon as the ledger can be written.

Limits: BATCH records per transaction, and those of `Buffer` and `kept_of`. A segment has at most
SEGMENT records, and 1/PARTS of the size and of the time that are kept.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gatepost.ledger.kept import Kept, kept_of
from gatepost.ledger.records import Gap, encode
from gatepost.ledger.store import files
from gatepost.ledger.store.buffer import Buffer
from gatepost.ledger.store.errors import is_storage
from gatepost.ledger.store.outage import Outage
from gatepost.ledger.store.retention import Retention
from gatepost.ledger.store.segment import Limits, Segment, facts_of
from gatepost.log.logger import get_logger

# Twice as many segments would take a look-up twice as long.
SEGMENT = 1_000_000
# Records in the tail before it is indexed, which takes about 0.1 seconds. Twice as many take 20 MiB
# more memory; half as many double the number of runs that a look-up searches.
TAIL = 25_000
BATCH = 2000
PARTS = 8
# Octets that are committed without a call of `commit`.
_PENDING = 4 << 20

_log = get_logger("gatepost.ledger")


class LedgerWriter:
    """Writes records into a folder. Raises `LedgerError` if another process does.

    `keep` is how many seconds records are kept, `size` the octets that the folder may have. `lost`
    counts the records that could not be written. `positions` is stored with each commit, for
    the caller, who counts the records of each sender.
    """

    def __init__(
        self,
        folder: Path,
        keep: float,
        size: int,
        time: Callable[[], float] = time.time,
        *,
        segment: int = SEGMENT,
        tail: int = TAIL,
    ) -> None:
        self.lost = 0
        self.positions: dict[str, int] = {}
        self._folder = folder
        self._time = time
        self._limits = Limits(segment, size // PARTS, keep / PARTS)
        self._tail = tail
        self._retention = Retention(folder, keep, size)
        self._buffer = Buffer()
        self._outage: Outage | None = None
        self._has_logged_unreadable = False
        self._gaps: list[Gap] = []
        self._segment: Segment | None = None
        self._lock = files.lock(folder)
        try:
            self._guarded(self._open_last)
        except BaseException:
            os.close(self._lock)
            raise

    def add(self, records: Sequence[bytes]) -> Kept:
        """Take encoded records, which are written at the next commit; return the readable ones."""
        kept = kept_of(records)
        self.lost += len(records) - len(kept.bodies)
        self._log_unreadable(kept.problem)
        self._buffer.add(kept)
        if self._buffer.octets > _PENDING:
            self.commit()
        return kept

    def commit(self) -> None:
        """Write all records; after it they survive a kill of the process."""
        if self._outage is None or self._outage.is_due(self._time()):
            self._guarded(self._write_all)
        self._lose(self._buffer.drop())

    def tend(self) -> None:
        """Index and count new records; call it after a commit."""
        if self._outage is None:
            self._guarded(self._tend)

    def maintain(self) -> None:
        """Do that, and remove old files; call it every few seconds."""
        self.tend()
        self._guarded(self._retain)

    def close(self) -> None:
        """Write what is left, and release the folder."""
        if self._lock < 0:
            return
        self._guarded(self._write_all)
        self._lose(len(self._buffer))
        self._close_segment()
        os.close(self._lock)
        self._lock = -1

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step; if the segment is corrupt, set it aside and run the step once more."""
        try:
            try:
                step()
            except sqlite3.Error as error:
                if is_storage(error):
                    raise
                self._set_aside(error)
                step()
        except (sqlite3.Error, OSError) as error:
            self._close_segment()
            if self._outage is None:
                self._outage = Outage(error, self._time())
                self._buffer.keep_octets()

    # records

    def _write_all(self) -> None:
        while self._buffer:
            batch = self._buffer.first(BATCH)
            self._current().write(batch, self._time(), self.positions)
            self._buffer.remove(len(batch.bodies))
        self._write_gaps()

    def _write_gaps(self) -> None:
        """Write what is missing; it also shows whether an outage is over."""
        outage, now = self._outage, self._time()
        gaps = self._gaps if outage is None else [*self._gaps, *outage.gaps(now)]
        if gaps or outage is not None:
            self._current().write(kept_of([*map(encode, gaps)]), now, self.positions)
            self._gaps = []
        if outage is not None:
            self._tend()
            self._outage = None
            outage.end(now)

    def _log_unreadable(self, problem: str) -> None:
        """Log the first problem of a record that cannot be read."""
        if problem and not self._has_logged_unreadable:
            _log.error("ledger record unreadable", problem=problem)
            self._has_logged_unreadable = True

    def _lose(self, count: int) -> None:
        self.lost += count
        if self._outage is not None:
            self._outage.lost += count

    # segments

    def _current(self) -> Segment:
        """Return the segment for the next records."""
        if self._segment is None:
            self._open_last()
        self._begin_new_if_full()
        if self._segment is None:
            self._segment = self._create()
        return self._segment

    def _open_last(self) -> None:
        found = files.listed(self._folder)
        if found and found[-1].is_segment:
            self._segment = Segment(found[-1].path, self._limits)
            self.positions = {**self._segment.positions, **self.positions}

    def _create(self) -> Segment:
        return Segment(files.create(self._folder), self._limits)

    def _begin_new_if_full(self) -> None:
        segment = self._segment
        if segment is None or not segment.is_full(self._time()):
            return
        segment.seal(self._time())
        self._close_segment()
        self._segment = self._create()

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _tend(self) -> None:
        segment = self._segment
        if segment is not None and not segment.path.exists():
            self._close_segment()  # removed by an administrator; the next record begins a new one
        self._begin_new_if_full()
        if self._segment is not None and self._segment.unindexed >= self._tail:
            self._segment.checkpoint(self._time())

    def _retain(self) -> None:
        for path in self._retention.apply(self._time()):
            _log.info("ledger segment removed", file=str(path))

    def _set_aside(self, error: Exception) -> None:
        """Set the newest segment aside, and begin a new one; a gap takes its place."""
        self._close_segment()
        now = self._time()
        for file in files.segments(self._folder)[-1:]:
            found = facts_of(file.path)
            renamed = files.set_aside(file.path, now)
            fields = {"file": str(file.path), "renamed": str(renamed), "problem": str(error)}
            _log.error("ledger segment corrupt", **fields)
            since = now if found.oldest is None else found.oldest
            cause = f"the file {file.path.name} was corrupt"
            self._gaps.append(Gap(now, since, found.records, cause))
        self._segment = self._create()
