"""Watches files from the event loop and refreshes them in a separate thread.

One thread serves all files. They are read one after the other and never wait for other work in the
executor of the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from gatepost.lists.reloadable import FileChange

# A change takes effect within a second: half a second to detect it, half to read it.
INTERVAL = 0.5


class Refreshable(Protocol):
    """A file that can be read again."""

    path: Path

    def refresh(self) -> FileChange | None:
        """Read the file again if it changed."""
        ...

    def close(self) -> None:
        """Stop background work for the file."""
        ...


class FileWatcher:
    """Refreshes files every `interval` seconds and calls `on_change` with each `FileChange`.

    `sleep(seconds)` is awaited between two rounds. `on_change` runs on the event loop. If it
    raises, the exception handler of the event loop is called and the watcher continues.
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
        """Start watching; requires a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="list watcher")

    async def stop(self) -> None:
        """Stop watching after the current refresh, and close the files."""
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
        """Refresh every file once."""
        loop = asyncio.get_running_loop()
        for file in self._files:
            change = await loop.run_in_executor(self._thread, _refresh, file)
            if change is not None:
                self._report(change, loop)

    def _report(self, change: FileChange, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._on_change(change)
        except Exception as error:  # noqa: BLE001 -- the watcher must survive a failing callback
            loop.call_exception_handler({"message": "list watcher callback", "exception": error})


def _refresh(file: Refreshable) -> FileChange | None:
    try:
        return file.refresh()
    except Exception as error:  # noqa: BLE001 -- one bad file must not stop the watcher
        return FileChange(file.path, 0, problem=f"{file.path}: refresh failed: {error!r}")
