"""Recovers the readable messages of damaged spool files.

Theory of operation
-------------------
The owner of `1.db` also owns the damaged files that had this name, and recovers their messages into
it. Recovered messages and the progress (`Progress`) are one transaction of the new file. After a
stop, a crash or a full disk, recovery continues from there, and no message is recovered twice. If
the new file is damaged, too, its progress is lost, and the old file is read from its beginning.

Limits: BATCH messages or OCTETS of content, plus one message, in memory.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gatepost.disk.threads import run_to_end
from gatepost.log.logger import get_logger
from gatepost.queue.spool.corrupt import mark_recovered, unrecovered
from gatepost.queue.spool.salvage import SalvagedMessage, salvage
from gatepost.queue.spool.sql.database import STORAGE_ERRORS, error_fields
from gatepost.queue.spool.store import Store
from gatepost.queue.spool.writer import SpoolWriter

BATCH = 50
OCTETS = 4 * 1024 * 1024
# Seconds until the next attempt after an error.
PAUSE = 30.0

_log = get_logger("gatepost.queue")


class Progress(NamedTuple):
    """The progress of a damaged file: the last message read, and two counts of messages."""

    message: int = 0
    put_back: int = 0
    unreadable: int = 0


class ReplacedError(Exception):
    """The file that messages were recovered into has been replaced."""


def read_progress(connection: sqlite3.Connection, name: str) -> Progress:
    """Return the progress of the damaged file of that name."""
    row = connection.execute(
        "SELECT message, put_back, unreadable FROM salvage WHERE name = ?", (name,)
    ).fetchone()
    return Progress() if row is None else Progress(*row)


def put_back(
    store: Store, name: str, before: Progress, batch: Sequence[SalvagedMessage]
) -> Progress:
    """Store the messages that follow `before`; return the new progress.

    Raises `ReplacedError` if the store has other progress, and the errors of `Store.put`.
    """
    if read_progress(store.connection, name) != before:
        raise ReplacedError(f"{name}: the spool file has been replaced")
    new_messages = [one.new_message for one in batch if one.new_message is not None]
    for new_message in new_messages:
        store.put(new_message)
    after = Progress(
        batch[-1].message,
        before.put_back + len(new_messages),
        before.unreadable + sum(bool(one.problem) for one in batch),
    )
    store.transaction().execute(
        "INSERT OR REPLACE INTO salvage VALUES (?, ?, ?, ?)", (name, *after)
    )
    return after


def delete_progress(connection: sqlite3.Connection, name: str) -> None:
    """Delete the progress of a damaged file after its recovery."""
    connection.execute("DELETE FROM salvage WHERE name = ?", (name,))


class Recovery:
    """Recovers the damaged files of the spool file at `path`, which is open in `writer`.

    `wake` requests a turn of the runner, for the recovered messages.
    """

    def __init__(self, path: Path, writer: SpoolWriter, wake: Callable[[], None]) -> None:
        self._path = path
        self._writer = writer
        self._wake = wake
        self._check_requested = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_idle = False

    def start(self) -> None:
        """Start with the damaged files that exist."""
        self.check()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="spool recovery")

    def check(self) -> None:
        """Check for damaged files."""
        self.is_idle = False
        self._check_requested.set()

    async def stop(self) -> None:
        """Stop; the rest is recovered after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._check_requested.wait()
            self._check_requested.clear()
            try:
                for damaged in unrecovered(self._path):
                    await self._recover(damaged)
                self.is_idle = not self._check_requested.is_set()
            except Exception as error:  # noqa: BLE001 - a damaged file can cause any error
                _log.error("spool recovery failed", file=str(self._path), **error_fields(error))
                await asyncio.sleep(PAUSE)
                self.check()

    async def _recover(self, damaged: Path) -> None:
        name = damaged.name
        progress = await self._writer.submit(lambda store: read_progress(store.connection, name))
        with closing(salvage(damaged, progress.message)) as messages:
            while batch := await _read(messages):
                progress = await self._put_back(damaged, progress, batch)
                self._wake()
        renamed = await asyncio.to_thread(mark_recovered, damaged, progress.unreadable)
        await self._writer.submit(lambda store: delete_progress(store.transaction(), name))
        _log.warning(
            "spool file recovered",
            file=str(damaged),
            renamed=str(renamed),
            messages=progress.put_back,
            unreadable=progress.unreadable,
        )

    async def _put_back(
        self, damaged: Path, before: Progress, batch: list[SalvagedMessage]
    ) -> Progress:
        """Store messages; retry until there is room for them."""
        job = partial(put_back, name=damaged.name, before=before, batch=batch)
        while True:
            try:
                after = await self._writer.submit(job)
            except STORAGE_ERRORS as error:
                _log.error("spool recovery deferred", file=str(damaged), problem=str(error))
                await asyncio.sleep(PAUSE)
            else:
                break
        for one in batch:
            if one.problem:
                fields = {"message": one.message, "problem": one.problem}
                _log.error("message unreadable", file=str(damaged), **fields)
        return after


async def _read(messages: Iterator[SalvagedMessage]) -> list[SalvagedMessage]:
    """Return the next batch, empty at the end; even when cancelled, wait for the thread."""
    work = asyncio.get_running_loop().run_in_executor(None, read_batch, messages)
    return await run_to_end(work, cancel=lambda: None)


def read_batch(messages: Iterator[SalvagedMessage]) -> list[SalvagedMessage]:
    """Return the next messages, up to BATCH or OCTETS."""
    batch, size = list[SalvagedMessage](), 0
    for one in messages:
        batch.append(one)
        size += 0 if one.new_message is None else one.new_message.size
        if len(batch) >= BATCH or size >= OCTETS:
            break
    return batch
