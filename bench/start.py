"""Measure the start of Gatepost as `gatepost init` configures it, and a reload and a stop.

Each round starts the bare interpreter and then each server, so that a slow phase of the machine
affects both. The bare interpreter imports what any asynchronous server in Python imports.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tools.daemon import HOST, is_greeting

from bench import proc
from bench.process import BenchError
from bench.run import progress
from bench.servers import GATEPOST, PYTHON, compiled_environment
from bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.run import Bench

WORKERS = (1, 4)
ROUNDS = 10
BARE = (str(PYTHON), "-c", "import asyncio, uvloop")
BUILDS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "gatepost": compiled_environment,
    "gatepost-pure": dict,
}
HEADER = (
    *("server", "workers", "ms to the greeting", "CPU ms", "ratio", "ratio of CPU"),
    *("reload ms", "stop ms"),
)
_READY = re.compile(r"^gatepost: ready smtp=[\d.]+:(\d+)")
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Start:
    """Seconds until the greeting, CPU seconds until then, and seconds of a reload and a stop."""

    wall: float
    cpu: float
    reload: float = 0.0
    stop: float = 0.0


def measure_start(bench: Bench) -> None:
    """Measure each build with each number of workers."""
    table = Table("Start", HEADER)
    for name in bench.among(BUILDS):
        for workers in WORKERS:
            progress(f"start: {name}, workers: {workers}")
            with bench.attempt(f"start: {name}"):
                table.rows.append(_row(bench, name, workers))
    bench.tables.append(table)


def _row(bench: Bench, name: str, workers: int) -> tuple[str, ...]:
    env = {**clean_environment(), **BUILDS[name]()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config = write_config(Path(folder), workers)
        start_server(config, env)  # compiles the modules
        rounds = bench.scaled(ROUNDS) + 1
        pairs = [(start_bare(env), start_server(config, env)) for _ in range(rounds)]
    return (name, str(workers), *_figures(pairs))


def _figures(pairs: list[tuple[Start, Start]]) -> tuple[str, ...]:
    servers = [server for _, server in pairs]
    walls = median(server.wall / bare.wall for bare, server in pairs)
    cpus = median(server.cpu / bare.cpu for bare, server in pairs)
    return (
        *(_ms([one.wall for one in servers]), _ms([one.cpu for one in servers])),
        *(f"{walls:.2f}", f"{cpus:.2f}"),
        *(_ms([one.reload for one in servers]), _ms([one.stop for one in servers])),
    )


def _ms(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.0f}"


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables that keep Python from storing bytecode."""
    return {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def write_config(folder: Path, workers: int) -> Path:
    """Write the starter configuration, for any free port; return its path."""
    subprocess.run([GATEPOST, "init", folder], check=True, capture_output=True)
    path = folder / "gatepost.toml"
    text = path.read_text("utf-8").replace("workers = 1", f"workers = {workers}")
    path.write_text(text.replace(f"{HOST}:2525", f"{HOST}:0"), "utf-8")
    return path


def start_bare(env: Mapping[str, str]) -> Start:
    """Run the bare interpreter."""
    before = time.perf_counter()
    child = subprocess.Popen(BARE, env=env)
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    return Start(time.perf_counter() - before, usage.ru_utime + usage.ru_stime)


def start_server(config: Path, env: Mapping[str, str]) -> Start:
    """Start a server, wait for its greeting, reload it and stop it."""
    before = time.perf_counter()
    with _server(config, env) as (child, lines):
        port = int(_awaited(lines, _READY)[1])
        if not is_greeting(port):
            raise BenchError("no greeting")
        wall = time.perf_counter() - before
        cpu = sum(proc.run_time(one.pid) for one in proc.descendants(child.pid, proc.all_stats()))
        reload = _timed(child, signal.SIGHUP, lambda: _awaited(lines, re.compile('"reloaded"')))
        end = _timed(child, signal.SIGTERM, lambda: child.wait(_TIMEOUT))
    return Start(wall, cpu, reload, end)


@contextlib.contextmanager
def _server(
    config: Path, env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    command = [str(GATEPOST), "serve", "-c", str(config)]
    child = subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stderr is not None
    try:
        yield child, child.stderr
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stderr.close()


def _awaited(lines: Iterator[str], pattern: re.Pattern[str]) -> re.Match[str]:
    for line in lines:
        if found := pattern.search(line):
            return found
    raise BenchError(f"the server ended before {pattern.pattern}")


def _timed(child: subprocess.Popen[str], number: int, finish: Callable[[], object]) -> float:
    before = time.perf_counter()
    child.send_signal(number)
    finish()
    return time.perf_counter() - before
