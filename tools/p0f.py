"""Run a real p0f 3 on the loopback interface, which needs root.

with p0f.running(folder) as socket:
    ...  # connections to 127.0.0.1 are examined; queries on this Unix socket
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tools import peers
from tools.daemon import POLL, START_TIMEOUT

NAME = "p0f"


def why_not() -> str:
    """Return why p0f cannot run here, or ""."""
    if os.geteuid():
        return "p0f captures packets, which needs root"
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Run p0f with its files in a folder; yield its socket, and kill it on exit.

    Raise `peers.UnavailableError` if it is not available, or may not capture packets here.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    path, log = folder / "p0f.sock", folder / "p0f.log"
    signatures = Path(command.prefix[0]).parents[2] / "etc/p0f/p0f.fp"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command.argv("-i", "lo", "-f", signatures, "-s", path),
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(server, log, path)
        yield path
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: subprocess.Popen[bytes], log: Path, path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _listens(path):
        if server.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
            raise peers.UnavailableError(f"p0f does not start: {lines[-1]}")
        time.sleep(POLL)


def _listens(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return True
    return False
