"""A process next to the workers: started, replaced when it exits, and ended by the supervisor.

Its sockets belong to the supervisor, so what has arrived there waits while the process is replaced.
Mail does not depend on it.
"""

from collections.abc import Callable, Collection
from subprocess import TimeoutExpired
from typing import NamedTuple

from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.process.interpreter import describe_exit
from gatepost.process.pool import FIRST_DELAY, LONGEST_DELAY, STABLE
from gatepost.process.start import Child, StartChild

# How long a process may take to end, in seconds.
STOP_TIMEOUT = 10.0

_log = get_logger("gatepost.supervisor")


class Code(NamedTuple):
    """A module with a function `run(given, descriptor)`, and the names of its log events."""

    module: str
    start_failed: str
    exited: str
    not_stopped: str


class Task(NamedTuple):
    """The input of a process, and the descriptors that it has."""

    given: object
    descriptor: int
    inherited: Collection[int] = ()


class SideProcess:
    """A process that runs `code`; `on_exit` is called with the status of one that has exited."""

    def __init__(
        self, start: StartChild, code: Code, on_exit: Callable[[str], None] | None = None
    ) -> None:
        self._start_child = start
        self._code = code
        self._on_exit = on_exit
        self._child: Child | None = None
        self._delay = 0.0
        self._since = 0.0

    @property
    def running(self) -> bool:
        """Return whether a process was started and has not been found exited."""
        return self._child is not None

    def start_soon(self) -> None:
        """Start the next process without a delay: it has other input than the one that exited."""
        self._delay = 0.0

    def maintain(self, now: float, task: Task | None) -> None:
        """Start the process if there is a task, it does not run and its start is due."""
        if self._child is not None and self._child.poll() is not None:
            self._exited(self._child, now)
        if task is not None and self._child is None and now - self._since >= self._delay:
            self.start(now, task)

    def start(self, now: float, task: Task) -> None:
        """Start the process now."""
        self._since = now
        try:
            self._child = self._start_child(self._code.module, *task)
        except OSError as error:
            self._lengthen_delay(now)
            problem = describe_os_error(error)
            _log.error(self._code.start_failed, problem=problem, restart_in=self._delay)

    def _exited(self, child: Child, now: float) -> None:
        self._child = None
        self._lengthen_delay(now)
        status = describe_exit(child.poll() or 0)
        _log.error(self._code.exited, pid=child.pid, status=status, restart_in=self._delay)
        if self._on_exit is not None:
            self._on_exit(status)

    def _lengthen_delay(self, now: float) -> None:
        stable = now - self._since > STABLE
        self._delay = (
            FIRST_DELAY if stable else min(max(self._delay * 2, FIRST_DELAY), LONGEST_DELAY)
        )
        self._since = now

    def terminate(self) -> None:
        """Ask the process to end, if it runs."""
        if self._child is not None:
            self._child.terminate()

    def replace(self, now: float) -> None:
        """End the process, so that `maintain` starts the next one."""
        self._since = now
        self.terminate()
        self.wait()

    def wait(self) -> None:
        """Wait for the end of the process; kill it after STOP_TIMEOUT."""
        child, self._child = self._child, None
        if child is None:
            return
        try:
            child.wait(STOP_TIMEOUT)
        except TimeoutExpired:
            _log.error(self._code.not_stopped, pid=child.pid, timeout=STOP_TIMEOUT)
            child.kill()
            child.wait()
