"""Measure the memory of idle connections, and the service for new clients meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench import load, proc
from bench.run import progress, started
from bench.servers import SERVERS
from bench.table import Table

if TYPE_CHECKING:
    from bench.process import Running
    from bench.run import Bench

IDLE_CONNECTIONS = 10_000
NEW_CLIENTS = 1_000  # messages, each on a separate connection
SETTLE = 1.0  # seconds before memory is read: sweeps and garbage collection of the server


def measure_idle(bench: Bench) -> None:
    """Measure the memory of connections that are idle after EHLO."""
    count = load.connections_allowed(bench.scaled(IDLE_CONNECTIONS))
    table = Table(
        "Idle connections",
        ("server", "connections", "KB each (RSS)", "KB each (PSS)", "new clients' msg/s meanwhile"),
    )
    for name in bench.among(SERVERS):
        progress(f"idle: {name}")
        with bench.attempt(f"idle: {name}"), started(name, connections=count) as server:
            with load.idle_connections(server, min(200, count)):
                pass  # modules that the first connections load are not counted
            before = _settled_memory(server)
            with load.idle_connections(server, count):
                after = _settled_memory(server)
                served = load.send(server, load.Load(bench.scaled(NEW_CLIENTS)))
            rss = (after.rss - before.rss) / count / 1024
            pss = (after.pss - before.pss) / count / 1024
            table.rows.append(
                (name, f"{count:,}", f"{rss:.1f}", f"{pss:.1f}", f"{served.per_second:,.0f}")
            )
    bench.tables.append(table)


def _settled_memory(server: Running) -> proc.Memory:
    time.sleep(SETTLE)
    return proc.memory(server.pid)
