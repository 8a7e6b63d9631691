"""The only thread that writes to a database: jobs that arrive together share a commit.

Theory of operation
-------------------
A job is a function of the database. The event loop hands over the jobs of one turn together: a
thread that woke up for the first job would compete with the loop for the interpreter lock, and
would sync that job alone. During a commit, further jobs collect. The thread then runs all of them
in one transaction and commits it: one sync for all. A single job is committed immediately, unless
it was started with `start_later`: such a job waits for the next one, or for PATIENCE. The caller
gets the result after the commit has returned, not before. All results of a commit come in one turn
of the event loop, so a job costs no wake-up of its own.

If anything in a transaction fails, it is rolled back, and each of its jobs runs again in its own
transaction. A failing job therefore does not affect the others. A job must be safe to run twice if
the first run was rolled back.

If the database itself is broken, `replace` can supply another one. The jobs then run again there.
If it cannot, all jobs of the group fail: running each alone in a broken database has no use.

Limits: MAX_GROUP jobs in a commit, plus those of one turn of the event loop.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

# With more jobs than this, the sync is no longer the expensive part of a commit.
MAX_GROUP = 200
# The time a job of `start_later` waits, in seconds: about as long as a sync takes.
PATIENCE = 0.005


class Transactional(Protocol):
    """A database with a single open transaction; all methods run in the writing thread."""

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def commit(self) -> None:
        """Make the transaction durable before returning."""
        ...

    def roll_back(self) -> None:
        """Undo the transaction, even if it never began."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


D = TypeVar("D", bound=Transactional)
T = TypeVar("T")

# Receives the value of a job, or None and its error.
Done = Callable[[Any, BaseException | None], None]


class _Job(NamedTuple):
    run: Callable[[Any], Any]
    done: Done


class _JobResult(NamedTuple):
    done: Done
    value: Any = None
    error: BaseException | None = None


class GroupWriter(Generic[D]):
    """Runs jobs in a database, for callers on the running event loop.

    `replace` receives the database and the error of a failed transaction. It returns None if the
    database is not broken, another database if it is, and raises if there is no other. It runs in
    the thread.
    """

    def __init__(
        self, database: D, replace: Callable[[D, BaseException], D | None], *, name: str
    ) -> None:
        self.database = database
        self._replace = replace
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Job] = []
        self._waiting_since = 0.0
        self._is_handover_scheduled = self._is_timer_set = False
        # An empty list ends the thread.
        self._groups: SimpleQueue[list[_Job]] = SimpleQueue()
        self._writing = threading.Thread(target=self._run, name=name, daemon=True)
        self._writing.start()

    def submit(self, run: Callable[[D], T]) -> "asyncio.Future[T]":
        """Return the future of a job; it raises the error of `run` or of the commit."""
        future: asyncio.Future[T] = self._loop.create_future()
        self.start(run, partial(_settle, future))
        return future

    def start(self, run: Callable[[D], Any], done: Done) -> None:
        """Start a job; `done` is called on the event loop, and should not raise."""
        if not self._is_handover_scheduled:
            self._is_handover_scheduled = True
            self._loop.call_soon(self._hand_over)
        self._waiting.append(_Job(run, done))

    def start_later(self, run: Callable[[D], Any], done: Done) -> None:
        """Start a job that may wait up to PATIENCE for others."""
        if not self._waiting:
            self._waiting_since = self._loop.time()
        if not self._is_timer_set:
            self._is_timer_set = True
            self._loop.call_later(PATIENCE, self._hand_over_if_due)
        self._waiting.append(_Job(run, done))

    def _hand_over_if_due(self) -> None:
        """Hand over jobs that have waited long enough; they may be newer than the timer."""
        left = self._waiting_since + PATIENCE - self._loop.time() if self._waiting else 0.0
        self._is_timer_set = left > 0
        if self._is_timer_set:
            self._loop.call_later(left, self._hand_over_if_due)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._is_handover_scheduled = False
        if self._waiting:
            self._groups.put(self._waiting)
            self._waiting = []

    async def close(self) -> None:
        """Run all submitted jobs, then close the database."""
        self._hand_over()
        self._groups.put([])
        await asyncio.to_thread(self._writing.join)

    def _run(self) -> None:
        while group := self._groups.get():
            while len(group) < MAX_GROUP and not self._groups.empty():
                more = self._groups.get()
                if not more:
                    self._groups.put(more)
                    break
                group += more
            results = self._commit(group)
            self._loop.call_soon_threadsafe(self._resolve, results)
        self.database.close()

    def _commit(self, jobs: list[_Job]) -> list[_JobResult]:
        try:
            return self._run_transaction(jobs)
        except BaseException as error:  # noqa: BLE001 - it is passed on to the futures
            return self._after_failure(jobs, error)

    def _after_failure(self, jobs: list[_Job], error: BaseException) -> list[_JobResult]:
        try:
            replacement = self._replace(self.database, error)
        except Exception:  # noqa: BLE001 - the callers need the first error
            return _failed(jobs, error)
        if replacement is not None:
            self.database = replacement
            return self._commit(jobs)
        if len(jobs) > 1:
            return [result for job in jobs for result in self._commit([job])]
        return _failed(jobs, error)

    def _run_transaction(self, jobs: list[_Job]) -> list[_JobResult]:
        database = self.database
        try:
            database.begin()
            results = [_JobResult(job.done, job.run(database)) for job in jobs]
            database.commit()
        except BaseException:
            database.roll_back()
            raise
        return results

    def _resolve(self, results: list[_JobResult]) -> None:
        for done, value, error in results:
            try:
                done(value, error)
            except Exception as fault:  # noqa: BLE001 - the other callers wait for their results
                message = "a job of the writing thread was done, but its caller failed"
                self._loop.call_exception_handler({"message": message, "exception": fault})


def _failed(jobs: list[_Job], error: BaseException) -> list[_JobResult]:
    return [_JobResult(job.done, error=error) for job in jobs]


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():  # the caller was cancelled
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
