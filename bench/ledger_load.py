"""The cost of ledger and metrics in a server: `python -m bench.ledger_load [--compiled]`.

Starts two servers, one with the ledger and the metrics and one without. Sends messages to them in
turn, and prints the CPU time per message of all their processes, and that of each process. Both log
at level "info". The time that a server uses without mail is subtracted.

Limits: Linux with scheduler statistics. Of the rounds, the cheapest counts: other programs of the
machine only add.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import proc
from bench.load import Load, send
from bench.process import BenchError, Running
from bench.servers import (
    GATEPOST_CONFIG,
    TRAP,
    compiled_environment,
    gatepost_as,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTLE = 1.5  # seconds until what was sent is committed
LOADS: dict[str, dict[str, Any]] = {
    "new": {},
    "reused": {"reuse": True},
    "refused": {"refused": True, "recipient": TRAP},
}
# What a process of the server is called, by its name.
PROCESSES = {"gatepost-ledger": "ledger", "gatepost-worker": "worker"}
MODES = {
    "off": "\n[ledger]\nenabled = false\n",
    "on": '\n[ledger]\nenabled = true\n\n[metrics]\nlisten = "127.0.0.1:0"\n',
}

# CPU time by process.
Used = dict[str, float]


def used(server: Running) -> Used:
    """Return the CPU time of each process of a server so far."""
    found: Used = {}
    for stat in proc.descendants(server.pid, proc.all_stats()):
        name = PROCESSES.get(proc.name(stat.pid), "supervisor")
        found[name] = found.get(name, 0) + proc.run_time(stat.pid)
    return found


def idle(server: Running) -> Used:
    """Return what a server uses in SETTLE seconds without mail."""
    before = used(server)
    time.sleep(SETTLE)
    return {name: after - before[name] for name, after in used(server).items()}


def measure(server: Running, load: Load, unloaded: Used) -> Used:
    """Return the microseconds per message of one round, by process."""
    before = used(server)
    send(server, load)
    time.sleep(SETTLE)
    return {
        name: (after - before[name] - unloaded[name]) / load.messages * 1e6
        for name, after in used(server).items()
    }


def config(mode: str) -> str:
    """Return the configuration of a server with the ledger and the metrics "on" or "off"."""
    return GATEPOST_CONFIG.format(tls="none", connections=1000, keys="") + MODES[mode]


def compare(messages: int, rounds: int, *, compiled: bool) -> None:
    """Measure both servers and print the result."""
    best: dict[tuple[str, str], Used] = {}
    with contextlib.ExitStack() as stack:
        servers = {mode: stack.enter_context(started(mode, compiled=compiled)) for mode in MODES}
        for server in servers.values():  # everything is imported, every cache filled
            send(server, Load(300))
        unloaded = {mode: idle(server) for mode, server in servers.items()}
        for _ in range(rounds):
            for name, options in LOADS.items():
                for mode, server in servers.items():
                    cost = measure(server, Load(messages, **options), unloaded[mode])
                    best[name, mode] = min(best.get((name, mode), cost), cost, key=total)
    for name in LOADS:
        show(name, best[name, "off"], best[name, "on"])


@contextlib.contextmanager
def started(mode: str, *, compiled: bool) -> Iterator[Running]:
    """Run a server with the ledger "on" or "off"."""
    env = compiled_environment() if compiled else None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "traps").write_text(f"{TRAP}\n")
        with gatepost_as(config(mode), Path(folder), mode, env) as running:
            yield running


def show(name: str, off: Used, on: Used) -> None:
    """Print one line."""
    more = total(on) / total(off) - 1
    print(
        f"{name:8} off {total(off):6.1f} µs, on {total(on):6.1f} µs: {more:+6.1%};"
        f" worker {on['worker'] - off['worker']:+5.1f} µs, ledger {on['ledger']:5.1f} µs"
    )


def total(cost: Used) -> float:
    """Return the time of all processes."""
    return sum(cost.values())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--compiled", action="store_true", help="measure the compiled build")
    options = parser.parse_args()
    try:
        compare(options.messages, options.rounds, compiled=options.compiled)
    except BenchError as error:
        sys.exit(f"ledger_load: {error}")


if __name__ == "__main__":
    main()
