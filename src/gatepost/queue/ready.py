"""Jobs that wait in memory for a free slot, so that they need not be read from the spool again.

The jobs are also in the spool. If they are dropped here, the runner finds them there. They are
dropped at each tick of the queue, so that the commands of an administrator take effect soon, and if
the destination is suspended.

Limits: MAX_JOBS, each with at most MAX_PIECE octets of content.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gatepost.queue.spool.records import DeliveryJob
from gatepost.queue.spool.store import Store

MAX_JOBS = 500
MAX_PIECE = 64 * 1024


class Ready(NamedTuple):
    """A job, and the store it is in."""

    job: DeliveryJob
    store: Store


class ReadyQueue:
    """Jobs by destination, first in, first out."""

    def __init__(self) -> None:
        self._ready: dict[str, deque[Ready]] = {}
        self._count = 0

    @property
    def is_empty(self) -> bool:
        """Return whether there is no job."""
        return not self._count

    @property
    def is_full(self) -> bool:
        """Return whether there is no room for another job."""
        return self._count >= MAX_JOBS

    def add(self, ready: Ready) -> bool:
        """Add a job; return False if there is no room for it."""
        if self.is_full or len(ready.job.first) > MAX_PIECE:
            return False
        self._ready.setdefault(ready.job.destination, deque()).append(ready)
        self._count += 1
        return True

    def take(self, has_room: Callable[[str], bool]) -> Iterator[Ready]:
        """Remove and yield jobs while their destinations have room, one for each in turn."""
        found = True
        while found:
            found = False
            for name in [name for name in self._ready if has_room(name)]:
                yield self._pop(name)
                found = True

    def drop(self, destination: str) -> Iterator[Ready]:
        """Remove and yield all jobs for a destination."""
        while destination in self._ready:
            yield self._pop(destination)

    def drop_all(self) -> Iterator[Ready]:
        """Remove and yield all jobs."""
        for name in list(self._ready):
            yield from self.drop(name)

    def _pop(self, name: str) -> Ready:
        jobs = self._ready[name]
        self._count -= 1
        ready = jobs.popleft()
        if not jobs:
            del self._ready[name]
        return ready
