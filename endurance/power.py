"""`make power`: cut the power under load, repeatedly; no mail may be lost.

The spool of a gateway and the Maildirs or files it delivers to are on a separate disk
(`tools.disk`). Its power is cut at random times: data that is not synced is lost. For a moment the
gateway runs with a disk on which all I/O fails, because clients may still receive replies then.
After that it is killed, the disk is checked and mounted, and the gateway is started. In the end the
messages must agree with the replies, as in `crash`.

In mode `queue` the next hop has a disk that is never cut. In every second round the next hop is
down, so that the spool is full of mail when the power fails. It is started again afterwards.

Two effects of a cut are allowed. First, a reply sent during the cut proves nothing: the message may
be safe although the reply was lost, and the kernel, which survives its disk here, may report
success for a sync that was in progress and failed (`tools.disk`). Second, a copy that reached the
next hop before the gateway was killed arrives again, as in `crash`. No message that was started
after the disk had failed may be accepted with 250, even if it arrives in the end.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools import peers
from tools.disk import Disk, mounted

from endurance.crash import (
    QUEUED,
    Crash,
    Kills,
    arrivals,
    downstream_in,
    gateway_in,
    run_modes,
    wait_for_accepted,
    wait_until_empty,
)
from endurance.senders import SenderGroup, send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from endurance.outcome import Outcome
    from endurance.subject import Subject

# Enough for a run of some minutes; unused space costs nothing.
MIB = 2048
# Longest time that a gateway runs without a disk, in seconds.
OUTAGE = 0.5


class Outage(NamedTuple):
    """A time without a disk (time.time()).

    `started` is before the cut, `since` after it, `until` when the gateway is killed.
    """

    started: float
    since: float
    until: float


@dataclass
class Power:
    """The outcomes, kills and cuts of a run; `crash` is its result."""

    outcomes: list[Outcome] = field(default_factory=list)
    kills: Kills = field(default_factory=Kills)
    cuts: list[Outage] = field(default_factory=list)
    left: int = 0
    arrivals: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def crash(self) -> Crash:
        """The result in which a reply during a cut counts as no reply."""
        outcomes = [
            one._replace(answer="unanswered") if self._is_unsure(one) else one
            for one in self.outcomes
        ]
        return Crash(outcomes, self.kills, self.left, self.arrivals)

    def _is_unsure(self, one: Outcome) -> bool:
        return any(one.started <= outage.since and outage.started <= one.at for outage in self.cuts)

    @property
    def replies_without_disk(self) -> list[Outcome]:
        """The messages that were started without a disk and had a reply."""
        return [
            one
            for one in self.outcomes
            if one.code and any(outage.since < one.started < outage.until for outage in self.cuts)
        ]

    @property
    def problems(self) -> list[str]:
        """Descriptions of the errors."""
        wrong = [one.token for one in self.replies_without_disk if one.answer == "accepted"]
        found = self.crash.problems
        if wrong:
            found.append(f"{len(wrong)} accepted without a disk: {', '.join(wrong[:5])}")
        return found


def _no_downstream(_folder: Path) -> AbstractContextManager[None]:
    return nullcontext()


class Mode(NamedTuple):
    """A route, in which {disk} is the folder of the disk; its messages; its next hop."""

    route: str
    messages: Callable[[Path], Iterable[Path]]
    downstream: Callable[[Path], AbstractContextManager[Subject | None]] = _no_downstream


MODES = {
    "queue": Mode(QUEUED, lambda folder: folder.glob("downstream/mail/*/new/*"), downstream_in),
    "maildir": Mode(
        'to = "maildir:{disk}/mail/{{local}}"', lambda folder: folder.glob("disk/mail/*/new/*")
    ),
    "file": Mode(
        'to = "file:{disk}/mail"',
        lambda folder: (one.with_suffix(".eml") for one in folder.glob("disk/mail/[0-9]*.json")),
    ),
}


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(prog="python -m endurance.power", description=__doc__)
    add = options.add_argument
    add("--rounds", type=int, default=10, help="cuts of each mode (default: 10)")
    add("--senders", type=int, default=4, help="concurrent clients (default: 4)")
    add("--mode", choices=MODES, help="mode of the route (default: all, one after the other)")
    add(
        "--every",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds of load before a cut (default: 1)",
    )
    add("--seed", type=int, default=1, help="random seed (default: 1)")
    return options


@dataclass(frozen=True)
class Scene:
    """A gateway, its disk and its next hop; `others` is a process for the senders."""

    gateway: Subject
    disk: Disk
    downstream: Subject | None
    others: ProcessPoolExecutor

    def run(self, chosen: argparse.Namespace, result: Power) -> None:
        """Run all rounds."""
        chance = random.Random(chosen.seed)
        for number in range(chosen.rounds):
            load = chance.uniform(0.1, 2 * chosen.every)
            until = time.time() + load + OUTAGE
            seed = chosen.seed * 1000 + number
            group = SenderGroup(
                self.gateway.port, until, senders=chosen.senders, seed=seed, pause=0.02
            )
            good = self.others.submit(send_all, group)
            with stopped(self.downstream if number % 2 else None, result.kills):
                self.cut(result, load, chance.uniform(0, OUTAGE))
            result.outcomes += good.result()

    def cut(self, result: Power, load: float, outage: float) -> None:
        """Cut the power after `load` seconds, kill the gateway `outage` later, and restart it."""
        time.sleep(load)
        result.kills.record("cut")
        started = time.time()
        self.disk.cut()
        since = time.time()
        time.sleep(outage)
        result.kills.record("gateway")
        result.cuts.append(Outage(started, since, time.time()))
        self.gateway.kill()
        self.disk.restore()
        self.gateway.start()


@contextmanager
def stopped(downstream: Subject | None, kills: Kills) -> Iterator[None]:
    """Kill the next hop, if there is one, and start it again on exit."""
    if downstream is None:
        yield
        return
    kills.record("downstream")
    downstream.kill()
    yield
    downstream.start()


def power(
    folder: Path, mode: str, chosen: argparse.Namespace, env: Mapping[str, str] | None = None
) -> Power:
    """Run all rounds with a route of this mode, then wait for the queue to empty.

    `env` is added to the environment of the gateway. Raise `peers.UnavailableError` if no disk can
    be mounted.
    """
    result, root, kind = Power(), folder / "disk", MODES[mode]
    with mounted(root, MIB) as disk, kind.downstream(folder) as downstream:
        route = kind.route.format(disk=root, downstream=downstream.port if downstream else "")
        subject = gateway_in(folder, route, f"{root}/var")
        subject.env |= env or {}
        with (
            subject as gateway,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as others,
        ):
            others.submit(time.time).result()  # start it before the first round
            Scene(gateway, disk, downstream, others).run(chosen, result)
            result.left = wait_until_empty(gateway)
            result.arrivals = wait_for_accepted(
                result.outcomes, lambda: arrivals(kind.messages(folder))
            )
    return result


def report(mode: str, result: Power) -> None:
    """Print the result of a run."""
    answers = Counter(one.answer for one in result.outcomes)
    codes = Counter(one.code for one in result.replies_without_disk)
    unsure = len([one for one in result.crash.outcomes if one.answer == "unanswered" and one.code])
    print(f"{mode}: messages: {len(result.outcomes):,}: {dict(answers)}")
    print(f"{mode}: replies during a cut: {unsure}")
    print(f"{mode}: cuts: {len(result.cuts)}; replies without a disk, by code: {dict(codes)}")
    print(f"{mode}: duplicates explained by a cut: {len(result.crash.explained)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; exit 1 if mail was lost, duplicated without a kill, or refused but present."""
    chosen = parser().parse_args(arguments)
    modes = [chosen.mode] if chosen.mode else MODES
    try:
        return run_modes("power", modes, lambda folder, mode: power(folder, mode, chosen), report)
    except peers.UnavailableError as error:
        print(f"power: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
