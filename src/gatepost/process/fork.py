"""A child process that is forked from the supervisor and runs the code that it has imported.

Theory of operation
-------------------
The supervisor has one thread, no event loop, no TLS and no database, and runs no plugin. It can
therefore fork at any time. The child closes every descriptor that is not meant for it, removes the
supervisor's signal handlers, and runs its own code below the frames of the supervisor. They never
continue there: the process ends at the end of that code, as an interpreter ends. So no object of
the supervisor is deleted in a child, which would close a descriptor that has another use by then.

Security: a child has a copy of the supervisor's memory. That includes the certificates and keys
that root has read (`root_files`), which are for the user of the workers.
"""

import atexit
import gc
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from subprocess import TimeoutExpired
from typing import NoReturn

from gatepost.log.setup import detach_log
from gatepost.process.systemd import VARIABLES

_Mask = set[int | signal.Signals]

# The interval at which `wait` looks for the end of a process, in seconds.
_POLL = 0.002


class ForkedProcess:
    """A forked child; its methods are those of `subprocess.Popen` that the supervisor needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while the process runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; raises `TimeoutExpired` after `timeout` seconds."""
        end = time.monotonic() + (timeout or 0.0)
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() > end:
                raise TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(_POLL)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def can_fork() -> bool:
    """Return whether this process may fork: libraries of macOS, and threads, forbid it."""
    return sys.platform == "linux" and threading.active_count() == 1


def fork_module(
    module: str, given: object, descriptor: int, inherited: Collection[int]
) -> ForkedProcess:
    """Run `run(given, descriptor)` of a module in a child; raises OSError.

    The child has `descriptor`, the descriptors `inherited`, and standard output and error.
    """
    gc.freeze()  # A collection in the child would copy the memory that it shares.
    with _blocked_signals() as mask:
        pid = os.fork()
        if not pid:
            _run_child(module, given, descriptor, {descriptor, *inherited}, mask)
    return ForkedProcess(pid)


@contextmanager
def _blocked_signals() -> Iterator[_Mask]:
    """Hold back signals, so that none reaches a handler of the supervisor in the child."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run_child(
    module: str, given: object, descriptor: int, kept: set[int], mask: _Mask
) -> NoReturn:
    status = 1
    try:
        atexit._clear()  # noqa: SLF001 - the functions are the supervisor's
        _detach(kept)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = importlib.import_module(module).run(given, descriptor)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - it must not reach the supervisor's frames
        traceback.print_exc()
    finally:
        _exit(status)


def _detach(kept: set[int]) -> None:
    """Give up what is the supervisor's: signal handlers, descriptors, variables, module path."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    _close_others(kept)
    _use_null_as_input()
    detach_log()
    for name in VARIABLES:
        os.environ.pop(name, None)
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, or the folder of the script
    importlib.invalidate_caches()


def _close_others(kept: set[int]) -> None:
    """Close all descriptors from 3 on, except these."""
    end = os.sysconf("SC_OPEN_MAX")
    for before, after in pairwise([2, *sorted(kept), end]):
        os.closerange(before + 1, after)


def _use_null_as_input() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _exit(status: int) -> NoReturn:
    """End the process as an interpreter does, but without the supervisor's frames."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads
        atexit._run_exitfuncs()  # noqa: SLF001 - those of plugins and libraries
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
