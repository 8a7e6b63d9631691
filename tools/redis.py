"""Run a real Redis in a separate folder, on a socket of its own or on a free port.

    with redis.running() as server:
        ...  # open server.url
        server.command("FLUSHALL")

It keeps nothing on disk unless it is asked to, and is killed on exit.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tools import peers
from tools.daemon import HOST, POLL, START_TIMEOUT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "redis-server"
SOCKET = "s"  # a socket's path has at most 107 octets


class Redis:
    """A Redis in `folder`; `start` runs it again after `kill`, with the same options."""

    def __init__(self, folder: Path, command: peers.Command, options: tuple[str, ...]) -> None:
        self.folder = folder
        self.port = free_port()
        self._command = command
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its socket."""
        return f"unix://{self.folder / SOCKET}"

    def start(self) -> None:
        """Start it and wait until it answers; raise `RuntimeError` if it does not."""
        log = self.folder / "log"
        argv = self._command.argv(
            *("--bind", HOST, "--port", str(self.port)),
            *("--unixsocket", self.folder / SOCKET, "--dir", self.folder),
            *("--save", "", "--daemonize", "no", *self._options),
        )
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                argv, env=self._command.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Redis does not answer:\n{log.read_text(errors='replace')}")
            time.sleep(POLL)

    def _answers(self) -> bool:
        # A server with a password or with TLS alone answers with an error, which is enough.
        with suppress(OSError):
            return self.command("PING")[:1] in b"+-"
        return False

    def command(self, *words: str) -> bytes:
        """Send one command on a connection of its own; return the start of the reply."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(START_TIMEOUT)
            client.connect(str(self.folder / SOCKET))
            client.sendall(b"*%d\r\n" % len(words))
            for word in words:
                client.sendall(b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()))
            return client.recv(65536)

    def kill(self) -> None:
        """Kill it, even if it is suspended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        (self.folder / SOCKET).unlink(missing_ok=True)

    def suspend(self) -> None:
        """Stop the process; its sockets still accept connections."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


def why_not() -> str:
    """Return why Redis cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextmanager
def running(*options: str) -> Iterator[Redis]:
    """Run Redis with these options of its command line, and kill it on exit.

    Raise `peers.UnavailableError` if it is not available, and `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    with tempfile.TemporaryDirectory(prefix="redis-") as name:
        server = Redis(Path(name), command, options)
        try:
            server.start()
            yield server
        finally:
            server.kill()
