"""The worker processes of one configuration: started, checked, and replaced when they exit.

The first worker starts alone, and the others start when it is ready. A problem with the
configuration is therefore reported once, and the index of a big list is built once.
"""

import os
import time
from collections.abc import Iterator, Sequence

from gatepost.config.schema import Config
from gatepost.counts.memory import CounterMemory
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.net.tls import Contents
from gatepost.process.control import MessageKind
from gatepost.process.listeners import Listener
from gatepost.process.start import StartChild
from gatepost.process.worker import WorkerProcess

# The delay before an exited worker is replaced, in seconds. It is doubled each time, so that a
# worker that exits again and again costs little, ...
FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0
# ... and starts again at FIRST_DELAY after a worker ran for this time.
STABLE = 60.0


_log = get_logger("gatepost.supervisor")


class PoolError(Exception):
    """The workers cannot start; one line for each problem."""


class _Member:
    """The number of a worker, and the process that has this number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.delay = 0.0
        self.since = 0.0

    def remove_process(self, now: float) -> None:
        """Record that the process has exited, and set the delay of the next start."""
        lived = now - self.since
        self.process = None
        self.delay = FIRST_DELAY if lived > STABLE else min(self.delay * 2, LONGEST_DELAY)
        self.delay = max(self.delay, FIRST_DELAY)
        self.since = now

    def is_start_due(self, now: float) -> bool:
        """Return whether a process must be started now."""
        return self.process is None and now - self.since >= self.delay

    @property
    def ready(self) -> bool:
        """Return whether the process accepts connections."""
        return self.process is not None and self.process.ready


class WorkerPool:
    """The workers, their listeners and counters. `complete` is true once all have been ready.

    `configured` is when the configuration was read, in seconds since 1970.

    `start` starts their processes. `contents` are the files that the workers need and cannot read,
    `ledger` is the socket to the ledger process, -1 without one. With `late_traps` they do not wait
    for very big trap lists.
    """

    def __init__(
        self,
        config: Config,
        listeners: Sequence[Listener],
        counters: CounterMemory,
        contents: Contents | None = None,
        ledger: int = -1,
        *,
        late_traps: bool = False,
        start: StartChild,
    ) -> None:
        self._start_child = start
        self._late_traps = late_traps
        self.config = config
        self.contents = contents or {}
        self._ledger = ledger
        self.listeners = listeners
        self.complete = False
        self.stopped_at: float | None = None
        self.configured = time.time()
        self._counters = counters
        self._members = [_Member(number) for number in range(worker_count(config))]

    def __iter__(self) -> Iterator[WorkerProcess]:
        """Yield the running worker processes."""
        return (member.process for member in self._members if member.process is not None)

    def maintain(self, now: float) -> None:
        """Start and replace workers that are due, and abort those that hang.

        Raises `PoolError` if a worker exits before all have been ready for the first time.
        """
        for member in self._members:
            if member.process is not None:
                self._check(member, member.process, now)
        if self.stopped_at is None:
            self._start_missing(now)

    def _start_missing(self, now: float) -> None:
        for member in self._members:
            if member.is_start_due(now):
                self._start(member, now)
            if not (self.complete or member.ready):
                return
        self.complete = True

    def _start(self, member: _Member, now: float) -> None:
        count = len(self._members)
        sockets = [listener.sockets_of(member.number, count) for listener in self.listeners]
        member.since = now
        try:
            member.process = WorkerProcess(
                self.config,
                sockets,
                self._counters,
                self.contents,
                ledger=self._ledger,
                late_traps=self._late_traps,
                start=self._start_child,
            )
        except OSError as error:
            self._start_failed(member, describe_os_error(error), now)

    def _start_failed(self, member: _Member, problem: str, now: float) -> None:
        if not self.complete:
            raise PoolError(f"a worker cannot be started: {problem}")
        member.remove_process(now)
        _log.error("worker start failed", problem=problem, restart_in=member.delay)

    def _check(self, member: _Member, process: WorkerProcess, now: float) -> None:
        process.receive()
        if process.has_exited():
            member.remove_process(now)
            self._exited(process, member.delay)
        elif process.check_progress(now):
            _log.error("worker unresponsive", pid=process.pid)
        elif process.killed and not self.complete and self.stopped_at is None:
            raise PoolError(process.failure)

    def _exited(self, process: WorkerProcess, delay: float) -> None:
        if self.stopped_at is not None:
            return
        if not self.complete:
            problem = f"a worker exited before it was ready: {process.status}"
            raise PoolError(process.failure or problem)
        fields = {"problem": process.failure} if process.failure else {}
        _log.error(
            "worker exited", pid=process.pid, status=process.status, restart_in=delay, **fields
        )

    def stop(self, kind: MessageKind, now: float) -> None:
        """Send RETIRE or STOP to all workers; no worker is replaced from now on."""
        self.stopped_at = now
        for process in self:
            process.send(kind)

    def kill(self) -> None:
        """Kill all workers."""
        for process in self:
            process.kill()

    @property
    def empty(self) -> bool:
        """Return whether no worker is left."""
        return not any(True for _ in self)


def worker_count(config: Config) -> int:
    """Return the number of workers; 0 in the configuration means one for each core."""
    return config.server.workers or len(os.sched_getaffinity(0))
