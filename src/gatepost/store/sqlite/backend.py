"""The store of all workers of one machine.

Theory of operation
-------------------
A few operations run on the event loop, in the coroutine of the caller (`near`): some 50
microseconds, less than handing them to a thread. Long batches go to the one thread of the store,
and so do operations that find the file locked, closed, damaged or full (`writer`). The thread waits
for locks, makes checkpoints, and replaces a damaged file. Operations that wait for it together
share a transaction.

A caller waits for the thread for `timeout` seconds at most. The operation may still take effect
later.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gatepost.disk.group_writer import GroupWriter
from gatepost.log.os_error import describe_os_error
from gatepost.store.backend import Result
from gatepost.store.errors import StoreError
from gatepost.store.operations import AnyOperation
from gatepost.store.quota import QUOTA
from gatepost.store.sqlite.entries import Space
from gatepost.store.sqlite.near import Near
from gatepost.store.sqlite.writer import Database

# Operations of one batch that run on the event loop: a quarter of a millisecond.
IN_PLACE = 8
# Commits of a worker between its checkpoints: the WAL then has about 16 MiB.
CHECKPOINT = 1000
# The size of a file in octets: the quota of 32 plugins.
SIZE = 1024 * 1024 * 1024


class SqliteBackend:
    """A store in `folder`. It is opened when it is first used, on the event loop of that moment.

    `clock` returns seconds since the epoch, `timeout` is in seconds; `quota` (for each namespace)
    and `size` are in octets.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        timeout: float = 0.25,
        quota: int = QUOTA,
        size: int = SIZE,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._timeout = timeout
        self._quota = quota
        self._size = size
        self._near: Near | None = None
        self._writer: GroupWriter[Database] | None = None

    async def execute(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        """See `Backend.execute`."""
        near = self._near
        if near is not None and len(operations) <= IN_PLACE:
            try:
                if not near.is_replaced():
                    return self._maintained(near, near.run(namespace, operations))
            except sqlite3.Error:
                pass  # the thread decides what to do about it
        return await self._in_thread(namespace, operations)

    def _maintained(self, near: Near, results: list[Result]) -> list[Result]:
        if near.commits >= CHECKPOINT:
            near.commits = 0
            self._thread().submit(Database.maintain).add_done_callback(_ignore)
        return results

    async def _in_thread(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        clock, quota = self._clock, self._quota

        def job(database: Database) -> list[Result]:
            space = Space(database.connection, namespace, quota)
            return space.run(operations, clock())

        writer = self._thread()
        future = writer.submit(job)
        timer = asyncio.get_running_loop().call_later(self._timeout, _expire, future, self._folder)
        try:
            results = await future
        except (sqlite3.Error, OSError) as error:
            raise _store_error(self._folder, error) from error
        finally:
            timer.cancel()
        self._open_near(writer.database.path)
        return results

    def _thread(self) -> GroupWriter[Database]:
        if self._writer is None:
            database = Database(
                self._folder, wait=self._timeout, size=self._size, clock=self._clock
            )
            self._writer = GroupWriter(database, _replace, name="gatepost-store")
        return self._writer

    def _open_near(self, path: Path) -> None:
        """Open the connection of the event loop, if it is not open or its file is replaced."""
        near = self._near
        if near is not None:
            if not near.is_replaced():
                return
            self._near = None
            near.close()
        with suppress(sqlite3.Error):  # the next operation of the thread tries it again
            self._near = Near(path, size=self._size, quota=self._quota, clock=self._clock)

    async def start(self) -> None:
        """See `Backend.start`."""
        writer = self._thread()
        try:
            await writer.submit(_open)
        except (sqlite3.Error, OSError):
            return
        self._open_near(writer.database.path)

    async def close(self) -> None:
        """See `Backend.close`."""
        near, self._near = self._near, None
        if near is not None:
            near.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()


def _open(database: Database) -> None:
    """Do nothing: the transaction has opened the file."""
    del database


def _replace(database: Database, error: BaseException) -> Database | None:
    return database if database.replace(error) else None


def _store_error(folder: Path, error: Exception) -> StoreError:
    text = describe_os_error(error) if isinstance(error, OSError) else str(error)
    return StoreError(f"{folder}: {text}")


def _expire(future: asyncio.Future[Any], folder: Path) -> None:
    if not future.done():
        future.set_exception(StoreError(f"{folder}: no answer in time"))


def _ignore(future: asyncio.Future[Any]) -> None:
    """Retrieve the error of a checkpoint: the next operation finds it too."""
    if not future.cancelled():
        future.exception()
