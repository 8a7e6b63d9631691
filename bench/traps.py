"""Measure gatepost with trap lists of different sizes: memory, start, look-up, CPU per message."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import load, proc, servers
from bench.messages import warm_up
from bench.process import BenchError
from bench.run import progress, started
from bench.servers import TRAP
from bench.table import Table, spread
from bench.traplist import write_traps

if TYPE_CHECKING:
    from bench.run import Bench

TRAP_SIZES = (0, 1_000, 100_000, 5_600_000)


def measure_traps(bench: Bench) -> None:
    """Measure gatepost with each size of trap list."""
    header = (
        *("traps", "ready after s", "load s", "reload s", "MB (RSS)", "MB (PSS)"),
        *("hit µs", "miss µs", "CPU s per 1,000", "range"),
    )
    table = Table("Trap lists", header)
    for size in TRAP_SIZES[:3] if bench.quick else TRAP_SIZES:
        progress(f"traps: {size:,}")
        with bench.attempt(f"traps: {size:,}"):
            table.rows.append((f"{size:,}", *_trap_row(bench, size)))
    bench.tables.append(table)


def _trap_row(bench: Bench, size: int) -> tuple[str, ...]:
    times = _lookup_times(size)
    with started("gatepost", traps=size) as server:
        warm_up(server, bench.load("new"))
        memory = proc.memory(server.pid)
        rounds = range(min(3, bench.rounds))
        each = [load.send(server, bench.load("new")).cpu_per_1000 for _ in rounds]
    return (
        *(f"{server.started_in:.2f}", times["load"], times["reload"]),
        *(f"{memory.rss / 1e6:.0f}", f"{memory.pss / 1e6:.0f}"),
        *(times["hit"], times["miss"]),
        *(f"{median(each):.3f}", spread(each)),
    )


def _lookup_times(size: int) -> dict[str, str]:
    """Time the list alone, in a separate process with gatepost's Python."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "traps"
        write_traps(path, size, TRAP)
        argv = [str(servers.GATEPOST.with_name("python")), "-m", "bench.lookup", str(path)]
        result = subprocess.run(
            argv, cwd=servers.CHECKOUT, capture_output=True, text=True, timeout=180, check=False
        )
    if result.returncode:
        raise BenchError(
            f"lookup failed: {(result.stderr.strip() or 'no output').splitlines()[-1]}"
        )
    times: dict[str, str] = json.loads(result.stdout)
    return times
