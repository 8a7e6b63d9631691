"""Puts back what can be read of the files that were set aside of one spool file.

Theory of operation: whoever owns `1.db` owns what was set aside of it, and puts it back there. How
far it has come is written down with the messages (`spool.progress`); a stop, a crash or a full disk
is an interruption, after which it goes on.

Limits: BATCH messages or OCTETS of content, and one message, in memory.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import structlog

from gatepost.disk.threads import settled
from gatepost.queue.runner import DISK, told
from gatepost.queue.spool.corrupt import finish, unfinished
from gatepost.queue.spool.progress import Progress, forget, progress, put_back
from gatepost.queue.spool.salvage import Found, salvage
from gatepost.queue.spool.writer import Writer

BATCH = 50
OCTETS = 4 * 1024 * 1024
# How long after something went wrong it is tried again, in seconds.
PAUSE = 30.0

_log = structlog.get_logger("gatepost.queue")


class Recovery:
    """Looks after the spool file at `path`, which is open in `writer`.

    `wake` has what was put back looked for.
    """

    def __init__(self, path: Path, writer: Writer, wake: Callable[[], None]) -> None:
        self._path = path
        self._writer = writer
        self._wake = wake
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_idle = False

    def start(self) -> None:
        """Begin, with what others have left."""
        self.look()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="queue salvager")

    def look(self) -> None:
        """Look for files that were set aside."""
        self.is_idle = False
        self._wanted.set()

    async def stop(self) -> None:
        """Leave the rest to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                for place in unfinished(self._path):
                    await self._salvage(place)
                self.is_idle = not self._wanted.is_set()
            except Exception as error:  # noqa: BLE001 - a damaged file may be wrong in any way
                _log.error("spool file not salvaged yet", file=str(self._path), **told(error))
                await asyncio.sleep(PAUSE)
                self.look()

    async def _salvage(self, place: Path) -> None:
        done = await self._writer.submit(lambda store: progress(store.connection, place.name))
        with closing(salvage(place, done.message)) as findings:
            while found := await _read(findings):
                done = await self._put_back(place, done, found)
                self._wake()
        now = await asyncio.to_thread(finish, place, done.unreadable)
        await self._writer.submit(lambda store: forget(store.connection, place.name))
        _log.warning(
            "spool file salvaged",
            file=str(place),
            now=str(now),
            messages=done.put_back,
            unreadable=done.unreadable,
        )

    async def _put_back(self, place: Path, before: Progress, found: list[Found]) -> Progress:
        """Put messages back; tries again where there is no room for them."""
        job = partial(put_back, name=place.name, before=before, found=found)
        while True:
            try:
                after = await self._writer.submit(job)
            except DISK as error:
                _log.error("messages not put back yet", file=str(place), problem=str(error))
                await asyncio.sleep(PAUSE)
            else:
                break
        for one in found:
            if one.problem:
                _log.error(
                    "message cannot be read",
                    file=str(place),
                    message=one.message,
                    problem=one.problem,
                )
        return after


async def _read(findings: Iterator[Found]) -> list[Found]:
    """Return what comes next, none at the end; the file is not being read any more then."""
    work = asyncio.get_running_loop().run_in_executor(None, _batch, findings)
    return await settled(work, cancel=lambda: None)


def _batch(findings: Iterator[Found]) -> list[Found]:
    batch, size = list[Found](), 0
    for one in findings:
        batch.append(one)
        size += 0 if one.new_message is None else one.new_message.size
        if len(batch) >= BATCH or size >= OCTETS:
            break
    return batch
