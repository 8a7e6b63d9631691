"""Count instructions per message: `python -m bench.instructions`.

Starts the compiled build under callgrind, sends messages, and prints the instructions that each
process of the server executes for one message. The count does not depend on the load of the
machine, so two builds can be compared even where CPU times are noise.

    python -m bench.instructions                         # default configuration with metrics
    python -m bench.instructions --mode off              # no ledger, log level error
    python -m bench.instructions --to queue              # or relay: another delivery than discard:
    python -m bench.instructions --build DIR             # another build, made by tools/compiled.py
    python -m bench.instructions --keep DIR              # keep the dumps, for callgrind_annotate

What an idle server executes in the same time is left out: on a busy machine the messages take
longer, and each would have a larger share of the work of every second.

Limits: needs valgrind. Instructions are not time: a cache miss and a system call cost more than
their count, and the kernel is not counted. The server runs about 50 times slower than usual.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import proc
from bench.load import Load, send
from bench.process import BenchError, Running
from bench.run import started as peer_started
from bench.servers import (
    DEFAULT_CONFIG,
    GATEPOST,
    GATEPOST_CONFIG,
    QUIET_CONFIG,
    TRAP,
    compiled_environment,
    gatepost_as,
)
from bench.traplist import write_traps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SETTLE = 2.0  # seconds until what was sent is committed
IDLE = 5.0  # seconds in which everything happens that a server does at intervals
LOADS: dict[str, dict[str, Any]] = {
    "new": {},
    "reused": {"reuse": True},
    "refused": {"refused": True, "recipient": TRAP},
}
TRAPS = 100_000
# What a process of the server is called, by its name.
PROCESSES = {"gatepost-ledger": "ledger", "gatepost-worker": "worker"}
METRICS = '\n[metrics]\nlisten = "127.0.0.1:0"\n'
CONFIGS = {
    "on": GATEPOST_CONFIG + DEFAULT_CONFIG + METRICS,
    "off": GATEPOST_CONFIG + QUIET_CONFIG,
}
DISCARD = 'to = "discard:"'
# The delivery, by the option --to; `port` is that of a next hop.
ROUTES = {
    "discard": DISCARD,
    "queue": f'{DISCARD}\nmode = "queue"',
    "relay": 'to = "smtp://127.0.0.1:{port}"\nclient = {{ tls = "none" }}',
}
_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def processes(server: Running) -> Mapping[int, str]:
    """Return the processes of a server: their names by their ids."""
    found = {}
    for stat in proc.descendants(server.pid, proc.all_stats()):
        name = PROCESSES.get(proc.name(stat.pid), "supervisor")
        found[stat.pid] = name
    return found


def control(pid: int, *command: str) -> None:
    """Send a command to callgrind in a process. Raise BenchError if that fails."""
    argv = ["callgrind_control", *command, str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"callgrind_control: {done.stderr.strip() or done.stdout.strip()}")


@contextlib.contextmanager
def route(to: str) -> Iterator[str]:
    """Yield the route for a delivery, and run the next hop of a relay meanwhile."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(peer_started("smtp-sink")).port if to == "relay" else 0
        yield ROUTES[to].format(port=port)


@contextlib.contextmanager
def started(mode: str, to: str, folder: Path, env: Mapping[str, str]) -> Iterator[Running]:
    """Serve under callgrind, which counts nothing yet."""
    output = f"--callgrind-out-file={folder}/callgrind.%p"
    options = ["--tool=callgrind", "--instr-atstart=no", "--trace-children=yes", output]
    interpreter = ["valgrind", *options, str(GATEPOST.with_name("python"))]
    write_traps(folder / "traps", TRAPS, TRAP)
    config = CONFIGS[mode].format(tls="none", connections=1000, keys="")
    with (
        route(to) as route_text,
        gatepost_as(config.replace(DISCARD, route_text), folder, mode, env, interpreter) as running,
    ):
        yield running


def rates(server: Running, folder: Path) -> Mapping[int, float]:
    """Return the instructions per second of an idle server, by the id of the process."""
    counts, seconds = executed(server, folder, lambda: time.sleep(IDLE))
    return {pid: count / seconds for pid, count in counts.items()}


def count(
    server: Running, folder: Path, load: Load, idle: Mapping[int, float]
) -> Mapping[str, int]:
    """Return the instructions per message of one load, by process; `idle` is that of `rates`."""

    def work() -> None:
        send(server, load)
        time.sleep(SETTLE)

    counts, seconds = executed(server, folder, work)
    names = processes(server)
    own = {pid: max(0.0, count - idle[pid] * seconds) for pid, count in counts.items()}
    return {names[pid]: int(count / load.messages) for pid, count in own.items()}


def executed(
    server: Running, folder: Path, work: Callable[[], object]
) -> tuple[Mapping[int, int], float]:
    """Return the instructions of each process during some work, and how long it took."""
    pids = list(processes(server))
    for pid in pids:
        control(pid, "-i", "on")
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    for pid in pids:
        control(pid, "-d")
        control(pid, "-i", "off")
    return {pid: counted(folder, pid) for pid in pids}, seconds


def counted(folder: Path, pid: int) -> int:
    """Return the instructions in the newest dump of a process."""
    dumps = sorted(folder.glob(f"callgrind.{pid}.*"), key=lambda path: path.stat().st_mtime)
    if not dumps:
        raise BenchError(f"callgrind wrote no dump of process {pid}")
    return sum(map(int, _TOTAL.findall(dumps[-1].read_text(errors="replace"))[-1:]))


def measure(mode: str, options: argparse.Namespace, env: Mapping[str, str]) -> None:
    """Measure the loads in one mode and print a line for each."""
    kept, messages = options.keep, options.messages
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if kept is None else kept / mode
        folder.mkdir(parents=True, exist_ok=True)
        with started(mode, options.to, folder, env) as server:
            time.sleep(IDLE)  # what a start does after the server is ready
            idle = rates(server, folder)
            for name in options.only.split(","):
                load = Load(messages, sessions=4, **LOADS[name])
                send(server, load)  # everything is imported, every cache filled
                counts = count(server, folder, load, idle)
                parts = ", ".join(f"{key} {value:,}" for key, value in counts.items())
                print(f"{mode:4} {name:8} {sum(counts.values()):9,} ({parts})", flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--mode", choices=[*CONFIGS, "both"], default="on")
    parser.add_argument("--to", choices=[*ROUTES], default="discard")
    parser.add_argument("--only", default=",".join(LOADS))
    parser.add_argument("--build", type=Path, help="the folder of a compiled build")
    parser.add_argument("--keep", type=Path, help="keep the output of callgrind in this folder")
    options = parser.parse_args()
    build = options.build
    modes = CONFIGS if options.mode == "both" else [options.mode]
    try:
        env = compiled_environment() if build is None else {"PYTHONPATH": str(build.resolve())}
        for mode in modes:
            measure(mode, options, env)
    except BenchError as error:
        sys.exit(f"instructions: {error}")


if __name__ == "__main__":
    main()
