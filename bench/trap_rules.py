"""Measure the cost of the trap rules: no traps, a registry of any size, the memory of hits.

All servers of a round run in turn, so that other load on the machine meets all of them. The load
"refused" hits a trap; without traps a plugin refuses the same messages at DATA.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import load
from bench.run import progress
from bench.servers import DEFAULT_CONFIG, TRAP, Setup, compiled_environment, gatepost_under
from bench.table import Table
from bench.traplist import write_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.process import Running
    from bench.run import Bench

REGISTERED = 5_600_000
LOADS = ("new", "reused", "refused")
_RULES = """
[[plugin]]
use = "standing"

[[plugin]]
use = "trap_memory"
options = { exempt_clients = [], marked = 0 }
"""
_REFUSING = """
[[plugin]]
use = "refuse.py"
"""
_PLUGIN = f"""
from gatepost import Plugin, deny


class Refuse(Plugin):
    def on_data(self, tx):
        refused = str(tx.recipients[0].address) == {TRAP!r}
        return deny("Message refused by local policy", code=554) if refused else None
"""
_OFF = 'many_unknown = false\nmessage_ids = "off"'
_ON = 'message_ids = "armed"'
# The name, registered traps, plugins, and keys of [traps].
CASES = {
    "traps off": (0, _REFUSING, _OFF),
    "registry": (REGISTERED, "", _OFF),
    "registry, all rules": (REGISTERED, _RULES, _ON),
}


def measure_trap_rules(bench: Bench) -> None:
    """Measure each case with each load; the ratio is to the first case."""
    registered = 100_000 if bench.quick else REGISTERED
    table = Table(f"Trap rules, {registered:,} registered traps", ("rules", *_columns()))
    costs: dict[str, dict[str, list[float]]] = {name: {one: [] for one in LOADS} for name in CASES}
    with contextlib.ExitStack() as stack, bench.attempt("trap rules"):
        running = {}
        for name in CASES:
            progress(f"trap rules: {name} starts")
            running[name] = stack.enter_context(_started(name, registered))
        for _ in range(bench.rounds):
            for one in LOADS:
                for name, server in running.items():
                    costs[name][one].append(load.send(server, bench.load(one)).cpu_per_1000)
        table.rows += _rows(costs)
    bench.tables.append(table)


def _columns() -> Iterator[str]:
    for one in LOADS:
        yield f"{one}: CPU s per 1,000"
        yield f"{one}: ratio"


def _rows(costs: dict[str, dict[str, list[float]]]) -> Iterator[tuple[str, ...]]:
    first = costs[next(iter(costs))]
    for name, found in costs.items():
        cells = []
        for one in LOADS:
            cost, base = median(found[one]), median(first[one])
            cells += [f"{cost:.3f}", f"{cost / base:.2f}"]
        yield name, *cells


@contextlib.contextmanager
def _started(name: str, registered: int) -> Iterator[Running]:
    count, plugins, keys = CASES[name]
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        (folder / "var").mkdir()
        (folder / "refuse.py").write_text(_PLUGIN)
        if count:
            write_registry(folder / "var" / "registry", min(count, registered), TRAP)
        setup = Setup(folder, traps=0, config=DEFAULT_CONFIG + plugins, trap_keys=keys)
        with gatepost_under((), setup, "gatepost", compiled_environment()) as running:
            yield running
