"""Watching list files from the event loop: they are refreshed in a thread of their own.

One thread for all files, so that they are read one after the other and never wait for the work
others put into the loop's common executor.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from gatepost.lists.reloadable import FileChange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

# A change is in force within a second: half for noticing it, half for reading it.
INTERVAL = 0.5


class Refreshable(Protocol):
    """A file that can be read again."""

    path: Path

    def refresh(self) -> FileChange | None:
        """Read the file again if it changed."""
        ...

    def close(self) -> None:
        """End what runs for the file."""
        ...


class FileWatcher:
    """Refreshes files every `interval` seconds and calls `on_change` with what came of it.

    `sleep` takes seconds and is awaited between the rounds. `on_change` runs on the event loop; an
    exception it raises is given to the loop's exception handler and the watch goes on.
    """

    def __init__(
        self,
        files: Sequence[Refreshable],
        on_change: Callable[[FileChange], object],
        *,
        interval: float = INTERVAL,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._files = tuple(files)
        self._on_change = on_change
        self._interval = interval
        self._sleep = sleep
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gatepost-lists")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch; needs a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="list watcher")

    async def stop(self) -> None:
        """Stop watching, after the refresh that is under way, and close the files."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        loop = asyncio.get_running_loop()
        for file in self._files:
            await loop.run_in_executor(self._thread, file.close)
        self._thread.shutdown()

    async def _watch(self) -> None:
        while True:
            await self._sleep(self._interval)
            await self.poll()

    async def poll(self) -> None:
        """Refresh every file once, now."""
        loop = asyncio.get_running_loop()
        for file in self._files:
            change = await loop.run_in_executor(self._thread, _refresh, file)
            if change is not None:
                self._tell(change, loop)

    def _tell(self, change: FileChange, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._on_change(change)
        except Exception as error:  # noqa: BLE001 -- the watch must outlive whoever listens
            loop.call_exception_handler({"message": "list watcher callback", "exception": error})


def _refresh(file: Refreshable) -> FileChange | None:
    try:
        return file.refresh()
    except Exception as error:  # noqa: BLE001 -- one bad file must not end the watch of the others
        return FileChange(file.path, 0, problem=f"{file.path}: cannot be refreshed: {error!r}")
