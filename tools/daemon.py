"""Run a server from another project in the foreground: start it, wait until it answers, end it.

Every server leads its own process group, so that ending it also ends its child processes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

HOST = "127.0.0.1"
# Below the range in which Linux chooses ports (net.ipv4.ip_local_port_range).
PORTS = range(20_000, 32_000)
START_TIMEOUT = 60.0  # seconds, on a busy machine
POLL = 0.01


def free_port() -> int:
    """Return a port of the loopback address for a server that this process starts.

    No other process gets it: the system gives only other ports to programs that ask for any, and
    `_reserve` keeps it from calls of this function until the process ends.
    """
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        if _is_free(port) and _reserve(port):
            return port
    raise RuntimeError(f"none of the ports {PORTS} is free")


def _is_free(port: int) -> bool:
    """Return whether no program uses the port, neither for streams nor for datagrams."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def _reserve(port: int) -> bool:
    """Hold an abstract socket address with the port in its name; return whether it was free."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0gatepost-port-{port}")
    except OSError:
        holder.close()
        return False
    holder.detach()  # it stays open until the process ends
    return True


def is_greeting(port: int, *, implicit: bool = False) -> bool:
    """Return whether a server on the port greets with 220, after a handshake if `implicit`."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=10) as client:
        if implicit:
            with _trusting_context().wrap_socket(client) as secured:
                return secured.recv(4).startswith(b"220")
        return client.recv(4).startswith(b"220")
    return False


def _trusting_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def accepts(port: int) -> bool:
    """Return whether a server accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=10):
        return True
    return False


@contextlib.contextmanager
def greeting(
    argv: Sequence[str], env: Mapping[str, str], log: Path, port: int, *, implicit: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server with its output in a file, yield once it greets, and kill it on exit.

    Raise `RuntimeError` with its output if it ends before that or takes too long.
    """
    with running(argv, env, log, lambda: is_greeting(port, implicit=implicit)) as server:
        yield server


@contextlib.contextmanager
def running(
    argv: Sequence[str], env: Mapping[str, str], log: Path, is_ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server with its output in a file, yield once it is ready, and kill it on exit.

    Its working folder is that of the file. Raise `RuntimeError` with its output if it ends before
    that or takes too long.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            argv,
            env=env,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(server, log, is_ready)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not is_ready():
        if server.poll() is not None or time.monotonic() > deadline:
            output = log.read_text(errors="replace") or "none"
            raise RuntimeError(f"{server.args!r} does not accept connections; output:\n{output}")
        time.sleep(POLL)
