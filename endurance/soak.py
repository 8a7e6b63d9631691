"""`make soak`: good and hostile clients together, with killed workers and repeated reloads.

Every good message must be delivered exactly once or refused, and memory must not grow. Prints its
figures and exits 1 if one of these fails.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from endurance.attacks import attack
from endurance.outcome import Outcome, arrived_in, judge, percentile
from endurance.senders import SenderGroup, send_all
from endurance.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = """\
[server]
hostname = "mx.example.com"
workers = 2
stop_timeout = "5s"

[[listen]]
address = "127.0.0.1:0"
tls = "starttls"

[tls]
certificates = [{ cert = "cert.pem", key = "cert.key" }]

[limits]
exempt = []
command_timeout = "5s"
data_timeout = "5s"
handshake_timeout = "3s"

[recipients]
domains = ["example.com"]

[traps]
lists = ["traps"]
delay = "100ms"

[[route]]
for = ["*"]
to = "maildir:mail/{local}"

[log]
level = "error"
"""
_MIB = 1024 * 1024
# Largest growth of memory from the middle third to the last third of a run, in octets.
MAX_GROWTH = 64 * _MIB


@dataclass
class Run:
    """Kills and reloads of the server, and its memory over time."""

    kills: int = 0
    reloads: int = 0
    memory: list[int] = field(default_factory=list)

    def disturb(self, server: Subject, chosen: argparse.Namespace, until: float) -> None:
        """Kill and reload until the time is over, and record the memory."""
        chance = random.Random(chosen.seed)
        next_kill = time.time() + chosen.kill_every
        next_reload = time.time() + chosen.reload_every
        while (now := time.time()) < until:
            self.memory.append(server.memory())
            if chosen.kill_every and now >= next_kill:
                self.kills += server.kill_worker(chance)
                next_kill = now + chance.uniform(0.5, 1.5) * chosen.kill_every
            if chosen.reload_every and now >= next_reload:
                server.reload()
                self.reloads += 1
                next_reload = now + chosen.reload_every
            time.sleep(min(0.5, max(0.0, until - now)))

    def growth(self) -> int:
        """Return the growth of the median memory from the middle third to the last."""
        third = max(1, len(self.memory) // 3)
        middle, last = sorted(self.memory[third : 2 * third]), sorted(self.memory[-third:])
        return last[len(last) // 2] - middle[len(middle) // 2] if middle and last else 0


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(prog="python -m endurance.soak", description=__doc__)
    add = options.add_argument
    add("--seconds", type=float, default=60.0, help="duration (default: 60)")
    add("--senders", type=int, default=8, help="concurrent good senders (default: 8)")
    add("--share", type=float, default=1.0, help="share of the attackers (default: 1)")
    add("--kill-every", type=float, default=7.0, metavar="S", help="0: never (default: 7)")
    add("--reload-every", type=float, default=5.0, metavar="S", help="0: never (default: 5)")
    add("--seed", type=int, default=1, help="random seed (default: 1)")
    return options


def soak(folder: Path, chosen: argparse.Namespace) -> tuple[list[Outcome], Counter[str], Run]:
    """Run it in a folder; return the outcomes, the rounds of the attacks, and the run."""
    prepare(folder)
    run = Run()
    with (
        Subject(folder, CONFIG) as server,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as others,
    ):
        until = time.time() + chosen.seconds
        group = SenderGroup(server.port, until, senders=chosen.senders, tls=0.3, seed=chosen.seed)
        good = others.submit(send_all, group)
        bad = others.submit(attack, server.port, until, chosen.share)
        run.disturb(server, chosen, until)
        return good.result(), bad.result(), run


def prepare(folder: Path) -> None:
    """Write a certificate and a trap list."""
    (folder / "traps").write_text("trap@example.com\n")
    certificate = trustme.CA().issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "cert.key")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)


def report(outcomes: Sequence[Outcome], rounds: Counter[str], run: Run) -> None:
    """Print the figures."""
    answers = Counter(one.answer for one in outcomes)
    codes = Counter(one.code for one in outcomes if one.answer == "refused")
    print(f"good messages: {len(outcomes):,}: {dict(answers)}, refusals by code {dict(codes)}")
    waits = [percentile(outcomes, share) * 1000 for share in (0.5, 0.99, 1.0)]
    print("replies within ms: {:.1f} (median), {:.1f} (p99), {:.1f} (all)".format(*waits))
    print(f"hostile rounds: {rounds.total():,}: {dict(rounds)}")
    print(f"workers killed: {run.kills}, reloads: {run.reloads}")
    seen = [one for one in run.memory if one]
    if seen:
        least, most, growth = (one / _MIB for one in (min(seen), max(seen), run.growth()))
        print(f"memory MiB: {least:.0f} to {most:.0f}, grown by {growth:.0f} towards the end")


def problems(folder: Path, outcomes: Sequence[Outcome], run: Run) -> list[str]:
    """Return descriptions of the errors."""
    found = judge(outcomes, arrived_in((folder / "mail").glob("*"))).problems
    if not any(one.answer == "accepted" for one in outcomes):
        found.append("no good message was accepted")
    if run.growth() > MAX_GROWTH:
        found.append(f"memory grew by {run.growth() / _MIB:.0f} MiB")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; exit 1 if there is an error."""
    chosen = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gatepost-soak-") as name:
        folder = Path(name)
        outcomes, rounds, run = soak(folder, chosen)
        report(outcomes, rounds, run)
        found = problems(folder, outcomes, run)
    for problem in found:
        print(f"soak: {problem}", file=sys.stderr)
    print("failed" if found else "no errors")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
