"""A poller that runs while it has viewers, once for all of them.

Limits: one look every `interval` seconds, however many viewers there are. An error is logged once
until a look succeeds again; viewers get nothing meanwhile.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from gatepost.log.logger import get_logger
from gatepost.web.live.sse import COMMENT
from gatepost.web.live.viewer import Viewer

R = TypeVar("R")
V = TypeVar("V", bound=Viewer[Any])

_log = get_logger("gatepost.web")


class Run(Protocol):
    """A function that runs another one in a thread."""

    def __call__(self, work: Callable[[], R]) -> Awaitable[R]:
        """Return its result."""
        ...


class Feed(ABC, Generic[V]):
    """The events of all viewers; `about` is its name for the log."""

    about: str
    interval: float

    def __init__(self, run: Run) -> None:
        self.viewers: set[V] = set()
        self._run = run
        self._poller: asyncio.Task[None] | None = None
        self._is_failing = False

    @contextmanager
    def joined(self, viewer: V) -> Iterator[None]:
        """Send events to a viewer; the first starts the poller, the last stops it."""
        self.viewers.add(viewer)
        if self._poller is None:
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield
        finally:
            self.viewers.discard(viewer)
            if not self.viewers:
                self._stop()

    async def next(self, viewer: V) -> bytes:
        """Return the next event of a viewer, empty if there is none now."""
        return viewer.take()

    def beat(self, _viewer: V) -> bytes:
        """Return what is sent to a viewer who had no event for a while."""
        return COMMENT

    def wake(self) -> None:
        """End the wait of all viewers."""
        for viewer in self.viewers:
            viewer.wake()

    @abstractmethod
    async def look(self) -> float:
        """Look once, and give viewers their events; return the seconds until the next look."""

    def reset(self) -> None:
        """Drop what belongs to a run of the poller."""

    def report(self, error: Exception) -> None:
        """Log an error, once until a look succeeds."""
        if not self._is_failing:
            self._is_failing = True
            problem = f"{type(error).__name__}: {error}"
            _log.warning("live data not readable", data=self.about, problem=problem)

    def _groups(self) -> Mapping[Hashable, V]:
        """Return a viewer of each group."""
        return {viewer.group: viewer for viewer in self.viewers}

    async def _poll(self) -> None:
        while True:
            await self._round()

    async def _round(self) -> None:
        """Look, and wait for the next look."""
        pause = self.interval
        try:
            pause = await self.look()
            self._is_failing = False
        except Exception as error:  # noqa: BLE001 - viewers wait for the next look
            self.report(error)
        await asyncio.sleep(pause)

    def _stop(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            self._poller = None
            self.reset()
