"""The state of a running server, in `status.json` of the data folder, for `gatepost status`.

The supervisor replaces the file as a whole when something has changed. It holds a lock on
`status.lock` while it runs, so that the file of a server that has ended is recognised.

A server whose data folder cannot be written, or in which another server has the lock, runs without
the file; the log has one line about it.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gatepost._version import __version__
from gatepost.disk.durable import FILE_MODE, ensure_private, replace_file
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.process.generations import Generations
from gatepost.process.pool import WorkerPool, worker_count
from gatepost.process.worker import WorkerProcess

FILE = "status.json"
LOCK = "status.lock"

_log = get_logger("gatepost.supervisor")


class WorkerState(msgspec.Struct, frozen=True):
    """A worker process; `ready` is whether it accepts connections.

    `configured` is when its configuration was read. One that is `retiring` has an older one, and
    ends after its sessions.
    """

    pid: int
    ready: bool
    configured: float = 0.0
    retiring: bool = False


class Reload(msgspec.Struct, frozen=True):
    """A reload: when it ended, and why it failed, if it did."""

    time: float
    problems: Sequence[str] = ()


class State(msgspec.Struct, frozen=True):
    """The state of the server; times are seconds since 1970.

    `expected` is the configured number of workers. `reload` is the last reload, None without one.
    """

    version: str
    pid: int
    since: float
    workers: Sequence[WorkerState] = ()
    expected: int = 0
    stopping: bool = False
    reload: Reload | None = None


class StateFile:
    """Writes the state of this process. No method raises OSError."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._lock = -1
        self._is_warned = False
        self._state = State(__version__, os.getpid(), time.time())
        self._written: State | None = None

    def open(self, folder: Path) -> None:
        """Use this data folder, from now on; it is created if necessary."""
        if folder != self._folder:
            self.close()
            self._folder, self._written, self._is_warned = folder, None, False
            self._try_lock(folder)

    def _try_lock(self, folder: Path) -> bool:
        """Take the lock; try again at the next update, as a command may hold it for a moment."""
        try:
            self._lock = _lock(ensure_private(folder) / LOCK)
        except BlockingIOError:
            self._warn("another server uses the folder")
        except OSError as error:
            self._warn(describe_os_error(error))
        return self._lock >= 0

    def _warn(self, problem: str) -> None:
        if not self._is_warned:
            _log.warning("state not written", path=f"{self._folder}/{FILE}", problem=problem)
        self._is_warned = True

    def update(self, generations: Generations) -> None:
        """Write the state of the workers, if it has changed."""
        self._state = msgspec.structs.replace(
            self._state,
            workers=[_state_of(one, pool) for pool in generations for one in pool],
            expected=sum(worker_count(pool.config) for pool in generations.active[:1]),
            stopping=generations.stopping,
        )
        folder = self._folder
        if folder is None or self._state == self._written:
            return
        if self._lock < 0 and not self._try_lock(folder):
            return
        try:
            replace_file(folder / FILE, msgspec.json.encode(self._state))
        except OSError as error:
            self._warn(describe_os_error(error))
        else:
            self._written = self._state

    def reloaded(self, problems: Iterable[str] = ()) -> None:
        """Record the end of a reload, for the next `update`."""
        self._state = msgspec.structs.replace(
            self._state, reload=Reload(time.time(), list(problems))
        )

    def close(self) -> None:
        """Release the lock: the server has ended."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock, self._folder = -1, None


def _state_of(one: WorkerProcess, pool: WorkerPool) -> WorkerState:
    return WorkerState(one.pid, one.ready, pool.configured, pool.stopped_at is not None)


def _lock(path: Path) -> int:
    """Return a descriptor with the lock; raises OSError, BlockingIOError if it is taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_running(folder: Path) -> bool:
    """Return whether a supervisor holds the lock of a data folder; raises OSError."""
    with suppress(FileNotFoundError):
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def read_state(folder: Path) -> State | None:
    """Return the last state in a data folder; None if there is none or it is not readable."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
