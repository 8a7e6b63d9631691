"""The one thread that writes to a spool file: what arrives together shares a commit.

Theory of operation
-------------------
A job is a function of the store. Jobs of one turn of the event loop go to the thread together: a
thread that woke at the first would fight with the loop for the interpreter's lock, and sync what it
has alone. The thread takes all that have come while it was busy with the commit before, does them
in one transaction, and commits it: one sync for all. A job that comes alone is committed at once,
unless it is one that can wait: what has been delivered is written down with what comes next, or
after PATIENCE. A future is done when the commit has returned, and not before.

If anything in a transaction goes wrong it is rolled back, and each of its jobs is done again in one
of its own: so a message that does not fit does not take others with it. A job must therefore bear
to be done twice, of which once in vain.

A file that turns out to be damaged is replaced (`replace`, see `salvage`), and the job done again
in the new one.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from gatepost.queue.spool.database import is_damage
from gatepost.queue.spool.store import Store

# Jobs of one commit: past this the disk is not what one waits for.
MAX_GROUP = 200
# How long a job that can wait does so, in seconds: about as long as a sync takes.
PATIENCE = 0.005

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[Store], Any]
    future: asyncio.Future[Any]


class _Result(NamedTuple):
    future: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class Writer:
    """Does jobs in a store, for callers on the running event loop.

    `replace` makes another store of one that is damaged; it runs in the thread.
    """

    def __init__(self, store: Store, replace: Callable[[Store], Store]) -> None:
        self.store = store
        self._replace = replace
        self._loop = asyncio.get_running_loop()
        self._coming: list[_Job] = []
        self._since = 0.0
        self._is_called = self._is_timed = False
        # An empty list is the end.
        self._groups: SimpleQueue[list[_Job]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gatepost-spool", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Store], T]) -> "asyncio.Future[T]":
        """Return the future of a job; it raises what `work` or the commit raises."""
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon(self._hand_over)
        return self._add(work)

    def submit_later(self, work: Callable[[Store], T]) -> "asyncio.Future[T]":
        """Return the future of a job that nobody is in a hurry for."""
        if not self._coming:
            self._since = self._loop.time()
        if not self._is_timed:
            self._is_timed = True
            self._loop.call_later(PATIENCE, self._look_at_the_time)
        return self._add(work)

    def _add(self, work: Callable[[Store], T]) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        self._coming.append(_Job(work, future))
        return future

    def _look_at_the_time(self) -> None:
        """Hand over what has waited long enough: it may have come after the timer was set."""
        left = self._since + PATIENCE - self._loop.time() if self._coming else 0.0
        self._is_timed = left > 0
        if self._is_timed:
            self._loop.call_later(left, self._look_at_the_time)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._is_called = False
        if self._coming:
            self._groups.put(self._coming)
            self._coming = []

    async def close(self) -> None:
        """Do what has been asked for, and close the file."""
        self._hand_over()
        self._groups.put([])
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while group := self._groups.get():
            while len(group) < MAX_GROUP and not self._groups.empty():
                more = self._groups.get()
                if not more:
                    self._groups.put(more)
                    break
                group += more
            results = self._commit(group)
            self._loop.call_soon_threadsafe(_settle, results)
        self.store.close()

    def _commit(self, jobs: list[_Job]) -> list[_Result]:
        try:
            return self._transact(jobs)
        except BaseException as error:  # noqa: BLE001 - whoever waits for a job has to hear of it
            if is_damage(error):
                return self._start_again(jobs, error)
            if len(jobs) > 1:
                return [result for job in jobs for result in self._commit([job])]
            return [_Result(job.future, error=error) for job in jobs]

    def _transact(self, jobs: list[_Job]) -> list[_Result]:
        store = self.store
        try:
            store.begin()
            results = [_Result(job.future, job.work(store)) for job in jobs]
            store.commit()
        except BaseException:
            store.roll_back()
            raise
        return results

    def _start_again(self, jobs: list[_Job], damage: BaseException) -> list[_Result]:
        try:
            self.store = self._replace(self.store)
        except (OSError, sqlite3.Error):
            return [_Result(job.future, error=damage) for job in jobs]
        return self._commit(jobs)


def _settle(results: list[_Result]) -> None:
    for future, value, error in results:
        if future.done():  # nobody waits for it any more
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
