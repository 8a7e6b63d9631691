"""Put load on a server and return its cost: messages from smtp-source, or idle connections."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools import peers
from tools.daemon import HOST

from bench import proc
from bench.process import BenchError, Running

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDER = "sender@client.example"
LOAD_TIMEOUT = 60  # seconds for one round
BATCH = 200  # connections opened at once: below every server's listen backlog


@dataclass(frozen=True)
class Load:
    """Messages to send in one round."""

    messages: int
    length: int = 4096  # octets of content
    sessions: int = 10  # at the same time
    reuse: bool = False  # many messages per connection
    refused: bool = False  # DATA is expected to be refused
    recipient: str = "user@bench.example"


@dataclass(frozen=True)
class Cost:
    """The CPU time that one round used on the server, and its duration; in seconds.

    CPU time counts until the server is idle again: log and ledger are written after the replies.
    """

    messages: int
    cpu: float
    wall: float

    @property
    def cpu_per_1000(self) -> float:
        """CPU seconds per 1,000 messages."""
        return self.cpu * 1000 / self.messages

    @property
    def per_second(self) -> float:
        """Messages per second of wall clock."""
        return self.messages / self.wall


def send(server: Running, load: Load) -> Cost:
    """Send one round of messages and return its cost.

    Raise BenchError if smtp-source fails or a reply is not the expected one.
    """
    source = peers.find("smtp-source")
    if source is None:
        raise BenchError(f"smtp-source is missing: {peers.missing(['smtp-source'])['smtp-source']}")
    argv = source.argv(*_options(load), f"{HOST}:{server.port}")
    cpu, wall = proc.cpu_seconds(server.pid), time.monotonic()
    done = subprocess.run(
        argv, env=source.env, capture_output=True, text=True, timeout=LOAD_TIMEOUT, check=False
    )
    wall = time.monotonic() - wall
    cpu = proc.settled_cpu_seconds(server.pid) - cpu
    _check(server, load, done)
    return Cost(load.messages, cpu, wall)


def _options(load: Load) -> list[str]:
    flags = ["-d"] * load.reuse + ["-A"] * load.refused
    numbers = {"-s": load.sessions, "-m": load.messages, "-l": load.length}
    return [
        *flags,
        *(word for option, number in numbers.items() for word in (option, str(number))),
        *("-f", SENDER, "-t", load.recipient),
    ]


def _check(server: Running, load: Load, done: subprocess.CompletedProcess[str]) -> None:
    """Raise BenchError unless every message was accepted, or every DATA refused."""
    refusals = done.stderr.count("data rejected: 5")
    expected = load.messages if load.refused else 0
    if done.returncode or refusals != expected:
        output = (done.stderr.strip() or "none").splitlines()[-1]
        raise BenchError(
            f"{server.name}: smtp-source ended with {done.returncode}, {refusals} refusals"
            f" where {expected} were expected; output: {output}"
        )


# Idle connections


def connections_allowed(count: int) -> int:
    """Raise the limit on open files to its maximum; return how many of `count` connections fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(count, hard - 200)


@contextlib.contextmanager
def idle_connections(server: Running, count: int) -> Iterator[None]:
    """Hold connections that were greeted, have sent EHLO, and are idle."""
    with contextlib.ExitStack() as stack:
        for start in range(0, count, BATCH):
            batch = [
                stack.enter_context(socket.create_connection((HOST, server.port), timeout=30))
                for _ in range(min(BATCH, count - start))
            ]
            _expect(batch, b"220")
            for client in batch:
                client.sendall(b"EHLO client.example\r\n")
            _expect(batch, b"250")
        yield


def _expect(clients: list[socket.socket], code: bytes) -> None:
    """Read a whole reply with the given code from each connection, in any order."""
    with selectors.DefaultSelector() as selector:
        for each in clients:
            selector.register(each, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            ready = selector.select(timeout=30)
            if not ready:
                raise BenchError(f"{len(selector.get_map())} connections had no {code.decode()}")
            for key, _ in ready:
                client = key.fileobj
                assert isinstance(client, socket.socket)  # typed as any file
                if _is_complete(client, key.data, code):
                    selector.unregister(client)


def _is_complete(client: socket.socket, seen: bytearray, code: bytes) -> bool:
    data = client.recv(4096)
    seen += data
    if not data or not seen.startswith(code):
        raise BenchError(f"expected {code.decode()}, found {bytes(seen)!r}")
    last = seen.rstrip(b"\r\n").rpartition(b"\n")[2]
    return seen.endswith(b"\n") and last[3:4] != b"-"
