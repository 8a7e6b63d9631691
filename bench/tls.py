"""Measure the cost of TLS: handshakes and messages.

The servers are those that have TLS. All use the same certificate, with an elliptic-curve key as
certificate authorities issue today. The client is `bench.tls_client`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import trustme

from bench import proc
from bench.load import LOAD_TIMEOUT, Cost
from bench.messages import in_turn, ratio
from bench.process import BenchError, Running
from bench.servers import CHECKOUT, Setup, Tls
from bench.table import Table, spread
from bench.tls_servers import TLS_SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.run import Bench, Costs

TLS_REFERENCE = "postfix"


@dataclass(frozen=True)
class TlsLoad:
    """Connections of one round and messages on each; without messages, connections are counted."""

    mode: str
    connections: int
    messages: int

    @property
    def units(self) -> int:
        """The number of counted units."""
        return self.connections * max(1, self.messages)


TLS_LOADS = {
    "handshakes": TlsLoad("implicit", 1000, 0),
    "handshakes-starttls": TlsLoad("starttls", 1000, 0),
    "tls": TlsLoad("starttls", 1000, 1),
    "tls-reused": TlsLoad("starttls", 20, 100),
}


def measure_tls(bench: Bench, scenario: str) -> None:
    """Measure one load on all servers that have TLS, in turn."""
    full = TLS_LOADS[scenario]
    connections = max(4, bench.scaled(full.connections))

    def send(server: Running, divisor: int) -> Cost:
        part = max(4, connections // divisor)
        return send_round(server, TlsLoad(full.mode, part, full.messages))

    bench.tls_costs[scenario] = in_turn(
        bench, scenario, bench.among(TLS_SERVERS), lambda name: started(name, full.mode), send
    )


@contextlib.contextmanager
def started(name: str, mode: str) -> Iterator[Running]:
    """Run a server with TLS in a temporary folder that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)
        tls = certificate(Path(folder), mode)
        with TLS_SERVERS[name](Setup(Path(folder), tls=tls)) as running:
            yield running


def certificate(folder: Path, mode: str) -> Tls:
    """Write a certificate and its key."""
    made = trustme.CA().issue_cert("bench.example")
    tls = Tls(mode, folder / "cert.pem", folder / "key.pem")
    tls.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    tls.key.write_bytes(made.private_key_pem.bytes())
    return tls


def send_round(server: Running, load: TlsLoad) -> Cost:
    """Send one round and return its cost; raise BenchError for an unexpected reply."""
    words = [str(server.port), load.mode, str(load.connections), str(load.messages)]
    argv = [sys.executable, "-m", "bench.tls_client", *words]
    cpu, wall = proc.cpu_seconds(server.pid), time.monotonic()
    done = subprocess.run(
        argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=LOAD_TIMEOUT, check=False
    )
    wall = time.monotonic() - wall
    cpu = proc.cpu_seconds(server.pid) - cpu
    if done.returncode:
        output = (done.stderr.strip() or "no output").splitlines()[-1]
        raise BenchError(f"{server.name}: the client ended with {done.returncode}: {output}")
    return Cost(load.units, cpu, wall)


def tls_table(costs: dict[str, Costs]) -> Table:
    """Return the table of all loads with TLS."""
    header = ("load", "server", "CPU s per 1,000", "range", f"ratio to {TLS_REFERENCE}", "per s")
    rows = [
        _row(scenario, name, by_server)
        for scenario, by_server in costs.items()
        for name in by_server
    ]
    return Table("TLS", header, rows)


def _row(scenario: str, name: str, by_server: Costs) -> tuple[str, ...]:
    costs = by_server[name]
    each = [cost.cpu_per_1000 for cost in costs]
    rate = median(cost.per_second for cost in costs)
    compared = ratio(costs, by_server.get(TLS_REFERENCE, []))
    return (scenario, name, f"{median(each):.3f}", spread(each), compared, f"{rate:,.0f}")
