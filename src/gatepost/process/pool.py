"""The workers of one configuration: started, watched, and replaced when they end.

The first worker starts alone and the others follow when it is ready: what is wrong with the
configuration is said once, and the index of a big list is built once.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import structlog

from gatepost.config.schema import Config
from gatepost.counts.memory import CounterMemory
from gatepost.log.os_error import describe_os_error
from gatepost.net.tls import Contents
from gatepost.process.control import ControlMessage
from gatepost.process.listeners import Listener
from gatepost.process.worker import WorkerProcess

# The wait before a worker that ended is replaced, in seconds: doubled each time, so that one that
# cannot live costs little, ...
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
# ... and as at first again for one that lived for so long.
STABLE = 60.0


class PoolError(Exception):
    """The workers cannot start; one line for each problem."""


class _Place:
    """One worker's place in the crew, whoever fills it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.wait = 0.0
        self.since = 0.0

    def vacate(self, now: float) -> None:
        """Take note that the worker is gone, and decide when the next one starts."""
        lived = now - self.since
        self.process = None
        self.wait = FIRST_WAIT if lived > STABLE else min(self.wait * 2, LONGEST_WAIT)
        self.wait = max(self.wait, FIRST_WAIT)
        self.since = now


class WorkerPool:
    """Workers, the sockets they accept from, where they count. `complete` once all were ready.

    `contents` has the files that they need and may not read.
    """

    def __init__(
        self,
        config: Config,
        listeners: Sequence[Listener],
        board: CounterMemory,
        contents: Contents | None = None,
    ) -> None:
        self.config = config
        self.contents = contents or {}
        self._board = board
        self.listeners = listeners
        self.complete = False
        self.stopped_at: float | None = None
        self._places = [_Place(number) for number in range(workers(config))]

    def __iter__(self) -> Iterator[WorkerProcess]:
        """Yield the worker processes there are."""
        return (place.process for place in self._places if place.process is not None)

    def tend(self, now: float) -> None:
        """Do what is due: start and replace workers, find those that hang.

        Raises `PoolError` when a worker ends before all were ready for the first time.
        """
        for place in self._places:
            if place.process is not None:
                self._look_at(place, place.process, now)
        if self.stopped_at is not None:
            return
        for place in self._places:
            if place.process is None and now - place.since >= place.wait:
                self._start(place, now)
            if not (self.complete or (place.process is not None and place.process.ready)):
                return
        self.complete = True

    def _start(self, place: _Place, now: float) -> None:
        of = len(self._places)
        shares = [listener.share(place.number, of) for listener in self.listeners]
        place.since = now
        try:
            place.process = WorkerProcess(self.config, shares, self._board, self.contents)
        except OSError as error:
            self._not_started(place, describe_os_error(error), now)

    def _not_started(self, place: _Place, why: str, now: float) -> None:
        if not self.complete:
            raise PoolError(f"a worker cannot be started: {why}")
        place.vacate(now)
        _log().error("worker not started", problem=why, next=place.wait)

    def _look_at(self, place: _Place, process: WorkerProcess, now: float) -> None:
        process.hear()
        if process.ended():
            place.vacate(now)
            self._ended(process, place.wait)
        elif process.watch(now):
            _log().error("worker hangs", pid=process.pid)

    def _ended(self, process: WorkerProcess, wait: float) -> None:
        if self.stopped_at is not None:
            return
        if not self.complete:
            raise PoolError(process.failure or f"a worker ended before it was ready: {process.end}")
        problem = {"problem": process.failure} if process.failure else {}
        _log().error("worker ended", pid=process.pid, end=process.end, next=wait, **problem)

    def dismiss(self, word: ControlMessage, now: float) -> None:
        """Tell all workers to RETIRE or STOP; none is replaced from now on."""
        self.stopped_at = now
        for process in self:
            process.say(word)

    def kill(self) -> None:
        """End all workers at once."""
        for process in self:
            process.kill()

    @property
    def gone(self) -> bool:
        """Whether no worker is left."""
        return not any(True for _ in self)


def workers(config: Config) -> int:
    """Return how many workers there are to be; 0 in the configuration is one for each core."""
    return config.server.workers or len(os.sched_getaffinity(0))


def _log() -> Any:
    """Return a logger of the present configuration, which a reload may change."""
    return structlog.get_logger("gatepost.supervisor")
