"""The one thread that writes to a spool file: what arrives together shares a commit.

Theory of operation
-------------------
A job is a function of the store. The thread takes all jobs that have come while it was busy with
the commit before, does them in one transaction, and commits it: one fsync for all. A job that comes
alone is committed at once, unless it is one that can wait: what has been delivered is written down
with what comes next, or after PATIENCE. A future is done when the commit has returned, and not
before.

If anything in a transaction goes wrong it is rolled back, and each of its jobs is done again in one
of its own: so a message that does not fit does not take others with it. A job must therefore bear
to be done twice, of which once in vain.

A file that turns out to be damaged is replaced (`replace`, see `salvage`), and the job done again
in the new one.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from gatepost.delivery.spool.database import is_damage
from gatepost.delivery.spool.store import Store

# Jobs of one commit: past this the disk is not what one waits for.
MAX_GROUP = 200
# How long a job that can wait does so, in seconds: about as long as a sync takes.
PATIENCE = 0.005

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[Store], Any]
    future: asyncio.Future[Any]
    can_wait: bool


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
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gatepost-spool", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Store], T]) -> "asyncio.Future[T]":
        """Return the future of a job; it raises what `work` or the commit raises."""
        return self._ask(work, can_wait=False)

    def submit_later(self, work: Callable[[Store], T]) -> "asyncio.Future[T]":
        """Return the future of a job that nobody is in a hurry for."""
        return self._ask(work, can_wait=True)

    def _ask(self, work: Callable[[Store], T], *, can_wait: bool) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future, can_wait))
        return future

    async def close(self) -> None:
        """Do what has been asked for, and close the file."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            group = self._group()
            going = None not in group
            results = self._commit([job for job in group if job is not None])
            self._loop.call_soon_threadsafe(_settle, results)
        self.store.close()

    def _group(self) -> list[_Job | None]:
        """Return the jobs there are, once there is any that cannot wait for others any longer."""
        group = [self._jobs.get()]
        deadline = time.monotonic() + PATIENCE
        while len(group) < MAX_GROUP:
            last = group[-1]
            if last is None or not last.can_wait:
                deadline = 0.0
            with suppress(Empty):
                group.append(self._jobs.get(timeout=max(0.0, deadline - time.monotonic())))
                continue
            break
        return group

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
