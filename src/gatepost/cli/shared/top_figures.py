"""The figures of `gatepost top`: sessions and workers, the records of the last minute, the queue.

A part that cannot be read is left out, and `problems` has the reason: the ledger may be off, and
the server may be stopped while the command runs.

Limits: MOST_RECORDS of the last minute, MOST_SESSIONS. The spool is read every QUEUE_EVERY seconds.
"""

import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from gatepost.config.schema import Config
from gatepost.ledger.records import Record
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerError, LedgerReader
from gatepost.ledger.words.listing import entry_of, is_notable
from gatepost.log.os_error import describe_os_error
from gatepost.metrics.gauges import STATES
from gatepost.process.live import Live, NotRunningError, live_sessions
from gatepost.queue.spool import admin
from gatepost.queue.spool.sql.schema import VersionError
from gatepost.server.control_socket import SessionsRequest

# The period of rates and reasons, in seconds.
WINDOW = 60.0
MOST_RECORDS = 50_000
MOST_SESSIONS = 500
MOST_REASONS = 5
QUEUE_EVERY = 10.0
RESULTS = ("accepted", "deferred", "refused")


class WorkerLoad(msgspec.Struct, frozen=True):
    """A process that serves; `cpu` is the share of one core since the last sample, None at first.

    `lag` is the longest recent delay of its event loop, in seconds.
    """

    worker: int
    pid: int
    sessions: int
    cpu: float | None
    lag: float


class Sample(msgspec.Struct, frozen=True):
    """The figures at one moment.

    `results` has the number of records of the last minute by result, `reasons` the most frequent
    reasons of refusals with their numbers. `queue` has the recipients by state. Both are None if
    they cannot be read.
    """

    time: float
    live: Live | None
    workers: Sequence[WorkerLoad] = ()
    results: dict[str, int] | None = None
    reasons: Sequence[tuple[str, int]] = ()
    queue: dict[str, int] | None = None
    problems: Sequence[str] = ()


class Recent:
    """The results and reasons of the records of the last WINDOW seconds, from the ledger."""

    def __init__(self, folder: Path, now: float) -> None:
        self._reader = LedgerReader(folder)
        self._news = self._reader.follow(Selection())
        self._found: deque[tuple[float, str, str]] = deque(maxlen=MOST_RECORDS)
        earlier = self._reader.select(Selection(since=now - WINDOW), limit=MOST_RECORDS)
        self._add(reversed(list(earlier)))

    def _add(self, records: Iterable[Record]) -> None:
        for entry in map(entry_of, filter(is_notable, records)):
            if entry.result in RESULTS:
                self._found.append((entry.time, entry.result, entry.reason))

    def count(self, now: float) -> tuple[dict[str, int], list[tuple[str, int]]]:
        """Return the numbers by result, and the reasons; raises `LedgerError`."""
        self._add(self._news())
        while self._found and self._found[0][0] < now - WINDOW:
            self._found.popleft()
        results = Counter(result for _, result, _ in self._found)
        reasons = Counter(
            reason for _, result, reason in self._found if result != "accepted" and reason
        )
        return {name: results[name] for name in RESULTS}, reasons.most_common(MOST_REASONS)


class Sampler:
    """Takes samples of a server. Calls block: make them in a thread."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self.data_dir = config.data_dir
        self._clock = clock
        self._recent: Recent | None = None
        self._cpu: dict[int, float] = {}
        self._measured = 0.0
        self._queue: dict[str, int] | None = None
        self._queue_due = 0.0

    def sample(self) -> Sample:
        """Return the figures of this moment; no error is raised for a server that has ended."""
        now, problems = self._clock(), list[str]()
        live = self._sessions(problems)
        results, reasons = self._results(now, problems)
        return Sample(
            now,
            live,
            [] if live is None else self._loads(live),
            results,
            reasons,
            self._depth(now, problems),
            problems,
        )

    def _sessions(self, problems: list[str]) -> Live | None:
        try:
            live = live_sessions(self.data_dir, SessionsRequest(limit=MOST_SESSIONS))
        except NotRunningError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(describe_os_error(error))
        else:
            problems += [f"process {pid} does not answer" for pid in live.silent]
            return live
        return None

    def _loads(self, live: Live) -> list[WorkerLoad]:
        now = time.monotonic()
        before, seconds = self._cpu, now - self._measured
        self._cpu, self._measured = {one.pid: one.cpu for one in live.workers}, now
        return [
            WorkerLoad(
                one.worker,
                one.pid,
                one.sessions,
                (one.cpu - before[one.pid]) / seconds if one.pid in before and seconds else None,
                one.lag,
            )
            for one in live.workers
        ]

    def _results(
        self, now: float, problems: list[str]
    ) -> tuple[dict[str, int] | None, list[tuple[str, int]]]:
        try:
            self._recent = self._recent or Recent(self.data_dir / "ledger", now)
            return self._recent.count(now)
        except LedgerError as error:
            problems.append(str(error))
        return None, []

    def _depth(self, now: float, problems: list[str]) -> dict[str, int] | None:
        """Return the depth of the queue, which is read again after QUEUE_EVERY seconds."""
        if now < self._queue_due:
            return self._queue
        self._queue, self._queue_due = None, now + QUEUE_EVERY
        try:
            depth = admin.depth(self.data_dir / "spool", now)
            self._queue = {state: depth.total(state) for state in STATES}
        except (sqlite3.Error, OSError, VersionError) as error:
            problems.append(f"the spool cannot be read: {error}")
        return self._queue
