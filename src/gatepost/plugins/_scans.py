"""Run the scans of one message at the same time, although plugins are asked one after the other.

Each scanner announces its scan before any plugin is asked about the message. When the first one is
asked, all announced scans begin: plugins in front of it can refuse the message without a scan, and
the time of all scans is that of the longest.

Limits: a scan whose result does not matter any more is cancelled with the end of the message. The
scans read the content as received, so edits of plugins do not disturb them.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gatepost import Transaction

T = TypeVar("T")
Start = Callable[[], Coroutine[Any, Any, Any]]

_KEY = "scans"


class Scans:
    """The scans of one message, by the names of the plugins."""

    def __init__(self) -> None:
        self._announced: dict[str, Start] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    def announce(self, name: str, start: Start) -> None:
        """Let a scan begin with the others."""
        self._announced[name] = start

    async def result(self, name: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Begin all scans that are announced; return the result of one, or raise its error."""
        self._announced[name] = start
        self._begin()
        task: asyncio.Task[T] = self._running[name]
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            self.cancel()
            raise
        return task.result()

    def _begin(self) -> None:
        for name, start in self._announced.items():
            task = self._running.get(name)
            if task is None or task.cancelled():
                self._running[name] = task = asyncio.create_task(start())
                task.add_done_callback(_retrieve)

    def cancel(self) -> None:
        """Cancel the scans that still run."""
        for task in self._running.values():
            task.cancel()


def scans_of(tx: Transaction) -> Scans:
    """Return the scans of a message."""
    scans: Scans = tx.notes.setdefault(_KEY, Scans())
    return scans


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the error of a scan, so that asyncio does not report one that is not awaited."""
    if not task.cancelled():
        task.exception()
