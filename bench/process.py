"""Start a server process, wait until it accepts connections, and end it.

Every server leads its own process group, so that ending it also ends its child processes. A Ctrl-C
at the terminal reaches only the bench, which then stops the servers in order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.daemon import is_greeting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_TIMEOUT = 180.0  # seconds; the largest trap list is indexed before the server is ready
STOP_TIMEOUT = 5.0
POLL = 0.01


class BenchError(Exception):
    """A measurement failed; the text is the reason."""


@dataclass(frozen=True)
class Running:
    """A server that accepts connections; ``started_in`` is the seconds that its start took."""

    name: str
    pid: int
    port: int
    started_in: float


@dataclass(frozen=True)
class Starting:
    """A server that was started and does not accept connections yet."""

    name: str
    child: subprocess.Popen[bytes]
    log: Path
    started_at: float = field(default_factory=time.monotonic)

    def running(self, port: int) -> Running:
        """Return the server as one that accepts connections on a port."""
        return Running(self.name, self.child.pid, port, time.monotonic() - self.started_at)

    def check(self) -> None:
        """Raise BenchError if the server has ended or takes too long."""
        if self.child.poll() is not None:
            output = self.log.read_text(errors="replace").strip() or "none"
            raise BenchError(
                f"ended with {self.child.returncode} instead of accepting connections;"
                f" output: {output.splitlines()[-1]}"
            )
        if time.monotonic() - self.started_at > START_TIMEOUT:
            raise BenchError(f"did not accept connections within {START_TIMEOUT:.0f} s")


@contextlib.contextmanager
def process(
    name: str, argv: Sequence[str], env: Mapping[str, str], log: Path
) -> Iterator[Starting]:
    """Run a server with its output in a file, and end its process group on exit."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv,
            env=env,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Starting(name, child, log)
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes]) -> None:
    """Terminate a process, then kill the rest of its process group."""
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(STOP_TIMEOUT)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def wait_until_greeting(starting: Starting, port: int, *, implicit: bool = False) -> Running:
    """Wait for the greeting of a server on a port, after a handshake if `implicit`."""
    while not is_greeting(port, implicit=implicit):
        starting.check()
        time.sleep(POLL)
    return starting.running(port)
