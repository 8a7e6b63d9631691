"""Measure the cost of messages: the same load on every server, in turn.

Each round puts the load on one server after the other. The first server changes from round to
round. A ratio compares two servers in the same round, so that a slow phase of the machine affects
both. The tables show medians over the rounds, with the smallest and the largest.
"""

from __future__ import annotations

import contextlib
import dataclasses
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from bench import load
from bench.run import LOADS, Costs, progress, started
from bench.servers import QUIET, REFERENCE, SERVERS, SLOW
from bench.table import Table, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.load import Cost, Load
    from bench.process import Running
    from bench.run import Bench

# Starts a server by name; sends it a round, divided by a number, and returns its cost.
Start: TypeAlias = "Callable[[str], contextlib.AbstractContextManager[Running]]"
Send: TypeAlias = "Callable[[Running, int], Cost]"

SLOW_SHARE = 5  # a slow server gets one message for this many
WARM_UP_SHARE = 5  # an uncounted first round, for just-in-time compilers and first allocations


def share(name: str, full: Load) -> Load:
    """Return the load with the number of messages for this server."""
    part = SLOW_SHARE if name in SLOW else 1
    return dataclasses.replace(full, messages=max(full.sessions, full.messages // part))


def measure_messages(bench: Bench, scenario: str) -> None:
    """Measure one load on all servers, in turn."""
    full = bench.load(scenario)

    def send(server: Running, divisor: int) -> Cost:
        return load.send(server, part(server.name, full, divisor))

    def start(name: str) -> contextlib.AbstractContextManager[Running]:
        return started(name, refuses=full.refused)

    bench.costs[scenario] = in_turn(bench, scenario, bench.among(SERVERS | QUIET), start, send)


def in_turn(bench: Bench, scenario: str, names: Sequence[str], start: Start, send: Send) -> Costs:
    """Run all servers and send the rounds to one server after the other."""
    costs: Costs = {}
    with contextlib.ExitStack() as stack:
        running: list[Running] = []
        for name in names:
            with bench.attempt(f"{scenario}: {name}"):
                server = stack.enter_context(start(name))
                send(server, WARM_UP_SHARE)
                running.append(server)
        for number in range(bench.rounds):
            progress(f"{scenario}: round {number + 1} of {bench.rounds}")
            first = number % max(1, len(running))
            for server in running[first:] + running[:first]:
                with bench.attempt(f"{scenario}: {server.name}"):
                    costs.setdefault(server.name, []).append(send(server, 1))
    return costs


def warm_up(server: Running, full: Load) -> None:
    """Send a part of a round without counting it."""
    load.send(server, part(server.name, full, WARM_UP_SHARE))


def part(name: str, full: Load, divisor: int) -> Load:
    """Return the load with the number of messages for this server, divided."""
    some = share(name, full)
    return dataclasses.replace(some, messages=max(some.sessions, some.messages // divisor))


def message_table(costs: dict[str, Costs]) -> Table:
    """Return the table of all loads with messages."""
    header = (
        *("load", "server", f"ratio to {REFERENCE}", "CPU ms", "range"),
        *("ratio without log and ledger", "CPU ms without", "msg/s", "MB/s"),
    )
    rows = [
        _message_row(scenario, name, by_server)
        for scenario, by_server in costs.items()
        for name in by_server
        if name not in QUIET
    ]
    return Table("Messages", header, rows)


def _message_row(scenario: str, name: str, by_server: Costs) -> tuple[str, ...]:
    costs, reference = by_server[name], by_server.get(REFERENCE, [])
    quiet = by_server.get(f"{name}-quiet", [])
    rate = median(cost.per_second for cost in costs)
    megabytes = f"{rate * LOADS[scenario].length / 1e6:.0f}" if scenario == "large" else ""
    return (
        *(scenario, name, ratio(costs, reference), _middle(costs)),
        spread([cost.cpu_per_1000 for cost in costs]),
        *(ratio(quiet, reference), _middle(quiet), f"{rate:,.0f}", megabytes),
    )


def _middle(costs: Sequence[Cost]) -> str:
    """Return the median of CPU milliseconds per message, empty without rounds."""
    return f"{median(cost.cpu_per_1000 for cost in costs):.3f}" if costs else ""


def ratio(costs: list[Cost], reference: list[Cost]) -> str:
    """Return the median of the ratios within each round."""
    if not costs or len(costs) != len(reference):  # no round, or one failed: there are no pairs
        return ""
    pairs = zip(costs, reference, strict=True)
    return f"{median(own.cpu_per_1000 / max(ref.cpu_per_1000, 1e-9) for own, ref in pairs):.2f}"
