"""`make power`: the power fails, again and again, under load; nothing may be lost.

All that a gateway keeps – its spool, the Maildirs or files it delivers into – is on a disk of its
own (`tools.disk`), whose power is cut at random instants: what was not synced is gone. The gateway
is left with a disk that answers everything with an error for a moment, as clients may still hear
something of it then; then it is killed, the disk mounted and checked, and the gateway started. In
the end every message has to be where its answer says, as in `crash`.

With mode `queue` the next hop has a disk that is never cut. In every second round it is away, so
that the spool is full of mail when the power fails; it is back after that.

Two things are a cut's own. What was answered while the power failed says nothing: the message may
have been safe, and only the news of that never came; and the kernel, which here outlives its disk,
says of a sync that was under way that it is done when it is not (`tools.disk`). And a copy that
came to the next hop before the gateway was killed comes again, as in `crash`. Nobody may be
answered 250 for a message that was begun when the disk was gone, wherever it is in the end.
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
    emptied,
    gateway_in,
    in_time,
    in_turn,
)
from endurance.senders import SenderGroup, send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from endurance.outcome import Outcome
    from endurance.subject import Subject

# For all that comes in a run of some minutes; what is not used costs nothing.
MIB = 2048
# How long a gateway goes on without a disk, in seconds, at most.
DARK = 0.5


class Dark(NamedTuple):
    """From a cut until the gateway is killed (time.time()); `since` it was done nothing is safe."""

    begun: float
    since: float
    until: float


@dataclass
class Power:
    """What was answered, and how the power failed; `crash` is what came of it all."""

    outcomes: list[Outcome] = field(default_factory=list)
    kills: Kills = field(default_factory=Kills)
    cuts: list[Dark] = field(default_factory=list)
    left: int = 0
    arrivals: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def crash(self) -> Crash:
        """What is to be judged, where an answer during a cut says nothing."""
        outcomes = [
            one._replace(answer="unanswered") if self._is_unsure(one) else one
            for one in self.outcomes
        ]
        return Crash(outcomes, self.kills, self.left, self.arrivals)

    def _is_unsure(self, one: Outcome) -> bool:
        return any(one.begun <= dark.since and dark.begun <= one.at for dark in self.cuts)

    @property
    def answered_in_the_dark(self) -> list[Outcome]:
        """What was begun when the disk was gone, and answered by whoever still ran."""
        return [
            one
            for one in self.outcomes
            if one.code and any(dark.since < one.begun < dark.until for dark in self.cuts)
        ]

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words."""
        lies = [one.token for one in self.answered_in_the_dark if one.answer == "accepted"]
        found = self.crash.problems
        if lies:
            found.append(f"{len(lies)} answered 250 without a disk: {', '.join(lies[:5])}")
        return found


def _nobody(_folder: Path) -> AbstractContextManager[None]:
    return nullcontext()


class Mode(NamedTuple):
    """A route, in which {disk} is where the disk is; how to find what it took; the next hop."""

    route: str
    messages: Callable[[Path], Iterable[Path]]
    downstream: Callable[[Path], AbstractContextManager[Subject | None]] = _nobody


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
    add("--senders", type=int, default=4, help="clients at a time (default: 4)")
    add("--mode", choices=MODES, help="of the route (default: one after the other)")
    add("--every", type=float, default=1.0, metavar="S", help="load before a cut (default: 1)")
    add("--seed", type=int, default=1, help="of what is left to chance (default: 1)")
    return options


@dataclass(frozen=True)
class Scene:
    """A gateway, its disk, and what is behind it; `others` is a process for those who send."""

    gateway: Subject
    disk: Disk
    downstream: Subject | None
    others: ProcessPoolExecutor

    def run(self, chosen: argparse.Namespace, came: Power) -> None:
        """Run all rounds."""
        chance = random.Random(chosen.seed)
        for number in range(chosen.rounds):
            load = chance.uniform(0.1, 2 * chosen.every)
            until = time.time() + load + DARK
            seed = chosen.seed * 1000 + number
            group = SenderGroup(
                self.gateway.port, until, senders=chosen.senders, seed=seed, pause=0.02
            )
            good = self.others.submit(send_all, group)
            with away(self.downstream if number % 2 else None, came.kills):
                self.cut(came, load, chance.uniform(0, DARK))
            came.outcomes += good.result()

    def cut(self, came: Power, load: float, dark: float) -> None:
        """Let the power fail after `load` seconds, all end `dark` later, and have it come back."""
        time.sleep(load)
        came.kills.note("cut")
        begun = time.time()
        self.disk.cut()
        since = time.time()
        time.sleep(dark)
        came.kills.note("gateway")
        came.cuts.append(Dark(begun, since, time.time()))
        self.gateway.kill()
        self.disk.restore()
        self.gateway.start()


@contextmanager
def away(downstream: Subject | None, kills: Kills) -> Iterator[None]:
    """Kill the next hop, if there is one, and start it again in the end."""
    if downstream is None:
        yield
        return
    kills.note("downstream")
    downstream.kill()
    yield
    downstream.start()


def power(
    folder: Path, mode: str, chosen: argparse.Namespace, env: Mapping[str, str] | None = None
) -> Power:
    """Run all rounds with a route of this mode, and let the queue empty.

    `env` is added to the gateway's environment. Raises `peers.UnavailableError`.
    """
    came, root, kind = Power(), folder / "disk", MODES[mode]
    with mounted(root, MIB) as disk, kind.downstream(folder) as downstream:
        route = kind.route.format(disk=root, downstream=downstream.port if downstream else "")
        subject = gateway_in(folder, route, f"{root}/var")
        subject.env |= env or {}
        with (
            subject as gateway,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as others,
        ):
            others.submit(time.time).result()  # it is there before the first round
            Scene(gateway, disk, downstream, others).run(chosen, came)
            came.left = emptied(gateway)
            came.arrivals = in_time(came.outcomes, lambda: arrivals(kind.messages(folder)))
    return came


def tell(mode: str, came: Power) -> None:
    """Say what came of a run."""
    answers = Counter(one.answer for one in came.outcomes)
    codes = Counter(one.code for one in came.answered_in_the_dark)
    unsure = len([one for one in came.crash.outcomes if one.answer == "unanswered" and one.code])
    print(f"{mode}: messages: {len(came.outcomes):,}: {dict(answers)}")
    print(f"{mode}: answered while the power failed: {unsure}")
    print(f"{mode}: cuts: {len(came.cuts)}; begun without a disk, by answer: {dict(codes)}")
    print(f"{mode}: duplicates explained by a cut: {len(came.crash.explained)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; exit 1 if anything was lost, doubled for no reason, or refused and there."""
    chosen = parser().parse_args(arguments)
    modes = [chosen.mode] if chosen.mode else MODES
    try:
        return in_turn("power", modes, lambda folder, mode: power(folder, mode, chosen), tell)
    except peers.UnavailableError as error:
        print(f"power: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
