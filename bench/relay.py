"""Measure the cost of delivery to a next hop while the client waits (mode = "direct").

The next hop is smtp-sink, which replies at once. A relay adds the time of a message
through it minus the time of a message sent straight to the next hop. Its CPU is compared with that
of a server that discards. One client sends one message after the other, so there is no queueing.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self

from tools.daemon import HOST

from bench import load
from bench.process import BenchError, Running
from bench.run import progress, started
from bench.servers import ROUTE_CONFIG, compiled_environment, gatepost_as
from bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.run import Bench

SENDER, RECIPIENT = "sender@client.example", "user@example.com"
CONTENT = b"Subject: bench\r\n\r\n" + (b"x" * 70 + b"\r\n") * 57 + b".\r\n"  # 4 KB
TIMED = 500  # messages of one client in a round
LOADS = {
    "new": load.Load(5_000, recipient=RECIPIENT),
    "reused": load.Load(10_000, reuse=True, recipient=RECIPIENT),
}

DISCARD = 'to = "discard:"'
RELAY = 'to = "smtp://127.0.0.1:{port}"\nclient = {{ tls = "none" }}'


class Client:
    """One connection of a client that does not pipeline."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=load.LOAD_TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        self._expect(b"220")
        self.exchange(b"EHLO client.example\r\n", b"250")
        return self

    def __exit__(self, *exc: object) -> None:
        self._replies.close()
        self._socket.close()

    def exchange(self, octets: bytes, code: bytes) -> None:
        """Send a command or content, and read the reply; raise `BenchError` for any other code."""
        self._socket.sendall(octets)
        self._expect(code)

    def _expect(self, code: bytes) -> None:
        line = b"250-"
        while line[3:4] == b"-":
            line = self._replies.readline()
        if line[:3] != code:
            raise BenchError(f"expected {code.decode()}, found {line.decode()!r}")

    def send_mail(self) -> None:
        """Send one message."""
        self.exchange(f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250")
        self.exchange(f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"250")
        self.exchange(b"DATA\r\n", b"354")
        self.exchange(CONTENT, b"250")


def on_new_connections(port: int, count: int) -> list[float]:
    """Return the seconds of each message, including the connection."""
    return [_timed(lambda: _visit(port)) for _ in range(count)]


def _visit(port: int) -> None:
    with Client(port) as client:
        client.send_mail()


def on_one_connection(port: int, count: int) -> list[float]:
    """Return the seconds of each message on an open connection."""
    with Client(port) as client:
        client.send_mail()
        return [_timed(client.send_mail) for _ in range(count)]


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


WAYS = {"new": on_new_connections, "reused": on_one_connection}


def measure_relay(bench: Bench) -> None:
    """Measure the time a relay adds, and its CPU compared with discarding."""
    header = ("connections", "server", "ms a message", "ms added", "CPU s per 1,000", "ratio")
    table = Table("Direct relay", header)
    with bench.attempt("relay"), contextlib.ExitStack() as stack:
        straight = stack.enter_context(started("smtp-sink"))
        servers = {
            "straight": straight,
            "discard": stack.enter_context(_gatepost(DISCARD)),
            "relay": stack.enter_context(_gatepost(RELAY.format(port=straight.port))),
        }
        for way in WAYS:
            table.rows += _rows(way, *_rounds(bench, way, servers))
    bench.tables.append(table)


@contextlib.contextmanager
def _gatepost(route: str) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config = ROUTE_CONFIG.format(route=route)
        with gatepost_as(config, Path(folder), "gatepost", compiled_environment()) as running:
            yield running


def _rounds(
    bench: Bench, way: str, servers: dict[str, Running]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return seconds a message, and CPU seconds per 1,000, one for each round."""
    times: dict[str, list[float]] = {name: [] for name in servers}
    costs: dict[str, list[float]] = {name: [] for name in servers}
    for number, (name, server) in itertools.product(range(bench.rounds), servers.items()):
        progress(f"relay: {way}, round {number + 1} of {bench.rounds}, {name}")
        times[name].append(median(WAYS[way](server.port, bench.scaled(TIMED))))
        costs[name].append(load.send(server, LOADS[way]).cpu_per_1000)
    return times, costs


def _rows(
    way: str, times: dict[str, list[float]], costs: dict[str, list[float]]
) -> list[tuple[str, ...]]:
    took = {name: median(each) * 1000 for name, each in times.items()}
    cost = {name: median(each) for name, each in costs.items()}
    return [
        (
            way,
            name,
            f"{took[name]:.2f}",
            f"{took[name] - took['straight']:.2f}",
            f"{cost[name]:.3f}",
            f"{cost[name] / cost['discard']:.2f}",
        )
        for name in took
    ]
