"""The cost of a durable 250 reply: the queue on disk, compared with Postfix on the same disk.

Both servers sync every message to their queue before they reply, and then discard it. So both do
all the work of a queue, and none of a next hop.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tools import peers, postfix

from bench import load, proc
from bench.process import POLL, BenchError, Running
from bench.run import progress
from bench.servers import ROUTE_CONFIG, compiled_environment, gatepost_as
from bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.load import Cost
    from bench.run import Bench

RECIPIENT = "user@example.com"
# Concurrent clients, and the messages they send in a round.
CLIENTS = {1: 1_000, 20: 4_000, 100: 10_000}
TRACED = 500  # messages under strace, which counts syncs
# Calls that sync. The journal of Gatepost is opened with O_DSYNC: each write returns after a sync.
SYNCS = ("sync(", ".db-log>")

ROUTE = 'to = "discard:"\nmode = "queue"'
# The limits of Postfix are not meant for a client that sends as fast as it can.
POSTFIX_MAIN = {
    "virtual_mailbox_domains": "",
    "relay_domains": "example.com",
    "relay_recipient_maps": "",
    "relay_transport": "discard:",
    "default_process_limit": "200",
    "smtpd_client_connection_count_limit": "0",
}


@contextlib.contextmanager
def _gatepost(folder: Path) -> Iterator[Running]:
    config = ROUTE_CONFIG.format(route=ROUTE)
    with gatepost_as(config, folder, "gatepost", compiled_environment()) as running:
        yield running


@contextlib.contextmanager
def _postfix(_folder: Path) -> Iterator[Running]:
    try:
        with postfix.running(POSTFIX_MAIN) as mail:
            yield Running("postfix", mail.pid, mail.port, 0.0)
    except peers.UnavailableError as error:
        raise BenchError(str(error)) from error


SERVERS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Running]]] = {
    "gatepost": _gatepost,
    "postfix": _postfix,
}


def measure_durable(bench: Bench) -> None:
    """Measure both queues with different numbers of clients."""
    header = (
        "clients",
        "server",
        "msg/s",
        "CPU s per 1,000",
        "ratio of msg/s",
        "syncs per message",
    )
    table = Table("Durable", header)
    with contextlib.ExitStack() as stack:
        running = [server for name in SERVERS if (server := _started(bench, stack, name))]
        syncs = {server.name: _syncs(bench, server) for server in running}
        for clients, messages in CLIENTS.items():
            costs = _rounds(
                bench,
                running,
                load.Load(bench.scaled(messages), sessions=clients, recipient=RECIPIENT),
            )
            table.rows += _rows(clients, costs, syncs)
    bench.tables.append(table)


def _started(bench: Bench, stack: contextlib.ExitStack, name: str) -> Running | None:
    with bench.attempt(f"durable: {name}"):
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        return stack.enter_context(SERVERS[name](Path(folder)))
    return None


def _rounds(bench: Bench, running: list[Running], one: load.Load) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {server.name: [] for server in running}
    for number in range(bench.rounds):
        progress(f"durable: {one.sessions} clients, round {number + 1} of {bench.rounds}")
        for server in running:
            with bench.attempt(f"durable: {server.name}"):
                costs[server.name].append(load.send(server, one))
    return costs


def _rows(
    clients: int, costs: dict[str, list[Cost]], syncs: dict[str, str]
) -> list[tuple[str, ...]]:
    rates = {name: median(one.per_second for one in each) for name, each in costs.items() if each}
    reference = rates.get("postfix")
    return [
        (
            str(clients),
            name,
            f"{rate:,.0f}",
            f"{median(one.cpu_per_1000 for one in costs[name]):.3f}",
            f"{rate / reference:.1f}" if reference else "",
            syncs[name],
        )
        for name, rate in rates.items()
    ]


def _syncs(bench: Bench, server: Running) -> str:
    """Count the syncs per message with one client and with twenty; "" without strace."""
    found = [""]
    with bench.attempt(f"durable: syncs of {server.name}"):
        found = [
            f"{_counted(server, load.Load(TRACED, sessions=n, recipient=RECIPIENT)) / TRACED:.2f}"
            for n in (1, 20)
        ]
    return " / ".join(found)


def _counted(server: Running, one: load.Load) -> int:
    """Return the number of syncs of a server and its children under a load."""
    strace = peers.find("strace")
    if strace is None:
        raise BenchError(f"strace is missing: {peers.missing(['strace'])['strace']}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        trace = Path(folder) / "trace"
        argv = strace.argv("-f", "-q", "-e", "trace=fsync,fdatasync,pwrite64", "-y", "-o", trace)
        pids = [stat.pid for stat in proc.descendants(server.pid, proc.all_stats())]
        argv += [word for pid in pids for word in ("-p", str(pid))]
        tracer = subprocess.Popen(argv, env=strace.env, stderr=subprocess.DEVNULL)
        try:
            _wait_until_traced(pids, tracer)
            load.send(server, one)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
        lines = trace.read_text().splitlines()
        return sum(any(call in line for call in SYNCS) for line in lines)


def _wait_until_traced(pids: list[int], tracer: subprocess.Popen[bytes]) -> None:
    """Wait until the tracer is attached to all processes."""
    while not all(f"TracerPid:\t{tracer.pid}\n" in _status(pid) for pid in pids):
        if tracer.poll() is not None:
            raise BenchError(f"strace ended with {tracer.returncode}")
        time.sleep(POLL)


def _status(pid: int) -> str:
    return (proc.PROC / str(pid) / "status").read_text()
