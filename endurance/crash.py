"""`make crash`: kill processes under load, repeatedly; no mail may be lost.

A gateway with a queue relays to a downstream server with Maildirs. At random times a worker of the
gateway, the whole gateway, or the whole downstream is killed with SIGKILL and started again. In the
end the queue has time to empty. Every message accepted with 250 must be in a Maildir or still in
the spool. No refused message may be in either, with one exception:

If the downstream is killed while it receives a message from a direct route, the gateway receives
no reply, although the message may have been stored. The client gets 451 4.4.2 and sends it again.
Such a message may be in a Maildir if the downstream was killed between its start and the reply.

A message may arrive twice for one reason only: the downstream had accepted it, and a process was
killed before the gateway had recorded the delivery. A kill must lie between the arrivals of the two
copies. Such duplicates are counted and explained; any other duplicate is a failure.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from bench.servers import GATEPOST
from tools.daemon import free_port

from endurance.outcome import Outcome, judge, token_of
from endurance.senders import SenderGroup, send_all
from endurance.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

GATEWAY = """\
[server]
hostname = "gateway.example"
data_dir = "{data}"
workers = 2
stop_timeout = "5s"

[[listen]]
address = "127.0.0.1:{port}"

[limits]
exempt = ["127.0.0.0/8"]

[recipients]
domains = ["example.com"]

[queue]
retry = ["1s", "2s"]

[[route]]
for = ["*"]
{route}

[log]
level = "warning"
"""
QUEUED = """\
to = "smtp://127.0.0.1:{downstream}"
mode = "queue"
client = {{ tls = "none", verify = false }}
"""
DOWNSTREAM = """\
[server]
hostname = "downstream.example"
stop_timeout = "5s"

[[listen]]
address = "127.0.0.1:{port}"

[limits]
exempt = ["127.0.0.0/8"]

[recipients]
domains = ["example.com"]

[[route]]
for = ["*"]
to = "maildir:mail/{{local}}"

[log]
level = "error"
"""
_DIRECT = QUEUED.replace('"queue"', '"direct"')
MODES = {
    "queue": QUEUED,
    "direct": _DIRECT,
    "fallback": _DIRECT + 'fallback = "queue"\n',
}
# Time for the queue to empty in the end, in seconds.
EMPTYING = 120.0
# Time to wait for mail that no list of the queue shows, in seconds: it is in the journal of a spool
# file that no worker has adopted yet.
LATE = 8.0
# A message that the gateway had sent before it was killed may still arrive this long afterwards, in
# seconds: it is in the buffers of the downstream.
IN_FLIGHT = 2.0
# The reply of a gateway that has lost the connection to the downstream (RFC 3463 section 3.5).
CONNECTION_LOST = "4.4.2"
KILLED_DOWNSTREAM = "downstream"
# Largest difference between the clock of a file name and the time of a kill, in seconds.
SLACK = 0.05


@dataclass
class Kills:
    """The killed processes by kind, and the times (time.time()); `cuts` are the downstream's."""

    by_kind: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)

    def record(self, kind: str) -> None:
        """Record a kill that is about to happen."""
        self.by_kind[kind] += 1
        self.times.append(time.time())
        if kind == KILLED_DOWNSTREAM:
            self.cuts.append(self.times[-1])

    def hides(self, outcome: Outcome) -> bool:
        """Return whether a killed downstream may have stored a message that the client resends."""
        return outcome.status == CONNECTION_LOST and any(
            outcome.started - SLACK <= at <= outcome.at + SLACK for at in self.cuts
        )

    def explains(self, arrivals: Sequence[float]) -> bool:
        """Return whether a kill lies between each copy of a message and the next."""
        return all(
            any(first - IN_FLIGHT <= at <= second + SLACK for at in self.times)
            for first, second in pairwise(arrivals)
        )


@dataclass(frozen=True)
class Scene:
    """A gateway and its downstream."""

    gateway: Subject
    downstream: Subject

    def kill_a_worker(self, chance: random.Random) -> None:
        """Kill one of the gateway's workers; the supervisor replaces it."""
        self.gateway.kill_worker(chance)

    def kill_the_gateway(self, _chance: random.Random) -> None:
        """Kill supervisor and workers, then start the gateway again."""
        self.gateway.kill()
        self.gateway.start()

    def kill_the_downstream(self, chance: random.Random) -> None:
        """Kill the downstream, wait for a moment, and start it again."""
        self.downstream.kill()
        time.sleep(chance.uniform(0, 1))
        self.downstream.start()


ACCIDENTS: tuple[tuple[str, Callable[[Scene, random.Random], None]], ...] = (
    ("worker", Scene.kill_a_worker),
    ("worker", Scene.kill_a_worker),
    ("gateway", Scene.kill_the_gateway),
    (KILLED_DOWNSTREAM, Scene.kill_the_downstream),
)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(prog="python -m endurance.crash", description=__doc__)
    add = options.add_argument
    add("--rounds", type=int, default=60, help="kills (default: 60)")
    add("--senders", type=int, default=8, help="concurrent clients (default: 8)")
    add("--mode", choices=MODES, help="mode of the route (default: all, one after the other)")
    add("--every", type=float, default=1.0, metavar="S", help="seconds between kills (default: 1)")
    add("--seed", type=int, default=1, help="random seed (default: 1)")
    return options


@dataclass(frozen=True)
class Crash:
    """The result of a run: outcomes, kills, the number of messages `left` in the queue.

    `arrivals` maps each token to the times at which its copies reached the downstream, in order.
    """

    outcomes: Sequence[Outcome]
    kills: Kills
    left: int
    arrivals: Mapping[str, Sequence[float]]

    @property
    def explained(self) -> list[str]:
        """The duplicated tokens that a kill explains."""
        return [
            token
            for token, times in self.arrivals.items()
            if len(times) > 1 and self.kills.explains(times)
        ]

    @property
    def hidden(self) -> list[Outcome]:
        """The refused messages that the downstream may have stored without a reply."""
        return [one for one in self.outcomes if one.answer == "refused" and self.kills.hides(one)]

    @property
    def problems(self) -> list[str]:
        """Descriptions of the errors."""
        arrived = Counter({token: len(times) for token, times in self.arrivals.items()})
        arrived.update({token: 1 - arrived[token] for token in self.explained})
        unknown = {one.token for one in self.hidden}
        outcomes = [
            one._replace(answer="unanswered") if one.token in unknown else one
            for one in self.outcomes
        ]
        found = judge(outcomes, arrived).problems
        if self.left:
            found.append(f"{self.left} messages still in the queue after {EMPTYING:.0f} s")
        return found


def crash(folder: Path, mode: str, chosen: argparse.Namespace) -> Crash:
    """Run all rounds with a route of this mode, then wait for the queue to empty."""
    kills, chance = Kills(), random.Random(chosen.seed)
    with (
        downstream_in(folder) as downstream,
        gateway_in(folder, MODES[mode].format(downstream=downstream.port)) as gateway,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as others,
    ):
        scene = Scene(gateway, downstream)
        until = time.time() + chosen.rounds * chosen.every
        group = SenderGroup(
            gateway.port, until, senders=chosen.senders, seed=chosen.seed, pause=0.01
        )
        good = others.submit(send_all, group)
        for kind, accident in cycle(chance.sample(ACCIDENTS, len(ACCIDENTS))):
            time.sleep(chance.uniform(0, 2 * chosen.every))
            if time.time() > until:
                break
            kills.record(kind)
            accident(scene, chance)
        outcomes = good.result()
        left = wait_until_empty(gateway)
        return Crash(
            outcomes, kills, left, wait_for_accepted(outcomes, lambda: _arrivals(downstream))
        )


def downstream_in(folder: Path) -> Subject:
    """Return a server with Maildirs in `mail` of its folder."""
    place = folder / "downstream"
    place.mkdir()
    return Subject(place, DOWNSTREAM.format(port=free_port()))


def gateway_in(folder: Path, route: str, data: str = "var") -> Subject:
    """Return a gateway with this route and data_dir."""
    place = folder / "gateway"
    place.mkdir()
    return Subject(place, GATEWAY.format(port=free_port(), route=route, data=data))


def wait_until_empty(gateway: Subject) -> int:
    """Wait up to EMPTYING for the queue to empty; return the number of messages left."""
    deadline = time.monotonic() + EMPTYING
    while (left := spooled(gateway)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return len(left)


def spooled(gateway: Subject) -> list[str]:
    """Return the ids of the messages in the queue."""
    argv = [str(GATEPOST), "queue", "list", "--json", "--limit", "100000", "-c"]
    listed = subprocess.run([*argv, str(gateway.file)], check=True, stdout=subprocess.PIPE)
    return [str(one["message"]) for one in json.loads(listed.stdout)]


def _arrivals(downstream: Subject) -> Mapping[str, list[float]]:
    return arrivals(downstream.folder.glob("mail/*/new/*"))


def wait_for_accepted(
    outcomes: Sequence[Outcome], look: Callable[[], Mapping[str, list[float]]]
) -> Mapping[str, list[float]]:
    """Return the result of `look` once all accepted messages have arrived, or after LATE."""
    accepted = {one.token for one in outcomes if one.answer == "accepted"}
    deadline = time.monotonic() + LATE
    while accepted - (found := look()).keys() and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def arrivals(files: Iterable[Path]) -> Mapping[str, list[float]]:
    """Return the arrival times of each token, in order, from the names of the files."""
    found: dict[str, list[float]] = defaultdict(list)
    for file in files:
        seconds, rest = file.name.split(".", 1)
        micros = rest[1:].split("P", 1)[0]
        found[token_of(file.read_bytes())].append(int(seconds) + int(micros) / 1e6)
    return {token: sorted(times) for token, times in found.items()}


def report(mode: str, result: Crash) -> None:
    """Print the result of a run."""
    answers, kills = Counter(one.answer for one in result.outcomes), result.kills.by_kind
    print(f"{mode}: messages: {len(result.outcomes):,}: {dict(answers)}")
    print(f"{mode}: kills: {kills.total()}: {dict(kills)}")
    print(f"{mode}: duplicates explained by a kill: {len(result.explained)}")
    there = sum(one.token in result.arrivals for one in result.hidden)
    print(f"{mode}: cut by a killed downstream: {len(result.hidden)}, stored all the same: {there}")


class Result(Protocol):
    """The result of a run."""

    @property
    def problems(self) -> list[str]:
        """Descriptions of the errors."""


R = TypeVar("R", bound=Result)


def run_modes(
    name: str, modes: Iterable[str], run: Callable[[Path, str], R], report: Callable[[str, R], None]
) -> int:
    """Run each mode in a new folder, report its result, and return the exit status."""
    failed = False
    for mode in modes:
        with tempfile.TemporaryDirectory(prefix=f"gatepost-{name}-") as folder:
            result = run(Path(folder), mode)
        report(mode, result)
        for problem in result.problems:
            print(f"{name}: {mode}: {problem}", file=sys.stderr)
            failed = True
    print("failed" if failed else "nothing lost")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; exit 1 if mail was lost, duplicated without a kill, or refused but present."""
    chosen = parser().parse_args(arguments)
    modes = [chosen.mode] if chosen.mode else MODES
    return run_modes("crash", modes, lambda folder, mode: crash(folder, mode, chosen), report)


if __name__ == "__main__":
    sys.exit(main())
