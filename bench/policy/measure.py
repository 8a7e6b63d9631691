"""Measure the cost of each server in turn, and what its checks have found.

The CPU time is that of all programs of a server and their child processes, until the last message
is delivered. The DNS is counted apart. Of the rounds, the cheapest counts: other programs of the
machine only add.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import proc
from bench.policy import client
from bench.policy.client import Traffic
from bench.policy.dns import programs, resolver
from bench.policy.gatepost import gatepost, gatepost_pure, without_policy
from bench.policy.haraka import haraka
from bench.policy.rspamd import postfix_rspamd
from bench.policy.senders import SIZES
from bench.policy.server import Need, Server
from bench.process import POLL, BenchError
from bench.run import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SERVERS: Mapping[str, Callable[[Need], contextlib.AbstractContextManager[Server]]] = {
    "gatepost": gatepost,
    "gatepost-pure": gatepost_pure,
    "no-policy": without_policy,
    "haraka": haraka,
    "postfix-rspamd": postfix_rspamd,
}
LOADS: Mapping[str, Traffic] = {
    "new": Traffic(SIZES["4 KB"], 500),
    "reused": Traffic(SIZES["4 KB"], 10, 100),
    "large": Traffic(SIZES["1 MB"], 40, at_once=4),
}
QUICK = 5  # a quick run sends one message for this many
SETTLE = 0.5  # seconds until ledger and log are written
DRAIN_TIMEOUT = 60.0
# A time between two attempts that passes the greylisting of every server here.
RETRY = 2.0


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds per message, by program; `dns` is apart."""

    parts: Mapping[str, float]
    dns: float

    @property
    def total(self) -> float:
        """All programs of the server."""
        return sum(self.parts.values())


Costs = dict[str, dict[str, list[Cost]]]  # by load and server, one for each round


@dataclass(frozen=True)
class Plan:
    """The servers and loads of a run, its rounds, and a context that records a failure."""

    names: Sequence[str]
    loads: Mapping[str, Traffic]
    rounds: int
    attempt: Callable[[str], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def recorded(problems: list[str], name: str) -> Iterator[None]:
    """Add a failure to the problems and continue."""
    try:
        yield
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        problems.append(f"{name}: {error}")
        progress(f"{name}: {error}")


def smaller(loads: Mapping[str, Traffic]) -> dict[str, Traffic]:
    """Return the loads of a quick run."""
    return {
        name: Traffic(one.size, max(2, one.connections // QUICK), one.each, one.at_once)
        for name, one in loads.items()
    }


def measure(plan: Plan) -> tuple[Costs, dict[str, Mapping[str, int]]]:
    """Run all servers; return their costs, and what the checks of each have found."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.chmod(0o755)  # servers that give up root enter it
        dns = stack.enter_context(resolver(_made(folder / "dns")))
        apart = programs(folder / "dns")
        running: list[Server] = []
        for name in plan.names:
            with plan.attempt(f"policy: {name}"):
                server = stack.enter_context(SERVERS[name](Need(_made(folder / name), dns)))
                client.make_known(server.port, RETRY)
                client.visit_listed(server.port)
                running.append(server)
        costs = _rounds(plan, running, apart)
        return costs, {server.name: server.found() for server in running}


def _made(folder: Path) -> Path:
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def _rounds(plan: Plan, running: Sequence[Server], apart: Sequence[int]) -> Costs:
    costs: Costs = {load: {} for load in plan.loads}
    for number in range(plan.rounds):
        progress(f"policy: round {number + 1} of {plan.rounds}")
        first = number % max(1, len(running))
        for load, traffic in plan.loads.items():
            for server in [*running[first:], *running[:first]]:
                with plan.attempt(f"policy, {load}: {server.name}"):
                    cost = one_round(server, traffic, apart)
                    costs[load].setdefault(server.name, []).append(cost)
    return costs


def one_round(server: Server, traffic: Traffic, apart: Sequence[int]) -> Cost:
    """Send one round; raise BenchError if a message is not accepted."""
    before = _used(server, apart)
    replies = client.send(server.port, traffic)
    if replies != {b"2": traffic.messages}:
        raise BenchError(f"found the replies {dict(replies)}")
    _drain(server)
    spent = {
        name: (after - before[name]) * 1000 / traffic.messages
        for name, after in _used(server, apart).items()
    }
    return Cost(dns=spent.pop("dns"), parts=spent)


def _used(server: Server, apart: Sequence[int]) -> dict[str, float]:
    used = {name: proc.cpu_seconds(pid) for name, pid in server.parts.items()}
    return {**used, "dns": sum(map(proc.cpu_seconds, apart))}


def _drain(server: Server) -> None:
    deadline = time.monotonic() + DRAIN_TIMEOUT
    while not server.is_idle():
        if time.monotonic() > deadline:
            raise BenchError(f"messages are still queued after {DRAIN_TIMEOUT:.0f} s")
        time.sleep(POLL)
    time.sleep(SETTLE)
