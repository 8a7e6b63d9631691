"""`make attack`: the delay of an innocent client under attack, and the memory of the server.

An innocent client sends a message on a new connection every 20 ms, to the attacked server and to an
idle one. The idle server shows the noise of the machine. For each attack of `floods`, a table has
the delays in ms, the memory in MiB and the number of replaced workers. The attackers run at a lower
priority.

Exits 1 if a worker was replaced, or if memory exceeds its limit. `--strict` also fails if the p99
exceeds that of the idle server by more than LIMIT.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from endurance.floods import FLOODS, Flood, pour
from endurance.soak import prepare
from endurance.subject import Subject
from gatepost.auth.passwords import make_user
from gatepost.cli.shared.users_file import put
from gatepost.wire.sasl.verifier import SALT_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = """\
[server]
hostname = "mx.example.com"
workers = 1
stop_timeout = "1s"

[[listen]]
address = "127.0.0.1:0"
tls = "starttls"

[[listen]]
address = "127.0.0.1:0"
auth = true

[[listen]]
address = "127.0.0.1:0"
proxy_from = ["127.0.0.0/8"]

[auth]
users = "users.auth"
clear = true

[limits]
{limits}

[tls]
certificates = [{{ cert = "cert.pem", key = "cert.key" }}]

[recipients]
domains = ["example.com"]

[[route]]
for = ["*"]
to = "maildir:mail/{{local}}"

[[plugin]]
use = "./reads_headers.py"

[log]
level = "error"
"""
# Plugins whose lookups have no answer. The innocent client is exempt from them.
POLICY = """
[dns]
servers = ["127.0.0.1:{port}"]
timeout = "1s"

[store]
url = "memory"
""" + "".join(
    f"""
[[plugin]]
use = "{name}"
unless = {{{{ networks = ["127.0.0.1"] }}}}
{options}
"""
    for name, options in {
        **dict.fromkeys(("iprev", "helo", "spf", "sender_domain", "dkim", "arc", "dmarc"), ""),
        "dnsbl": 'options = {{ zones = ["a.example", "b.example", "c.example", "d.example"] }}',
        **dict.fromkeys(("reputation", "greylist", "score"), ""),
    }.items()
)
# So that the server parses the headers of all messages.
PLUGIN = """\
from gatepost import Plugin


class ReadsHeaders(Plugin):
    def on_headers(self, tx, headers):
        headers.get("Subject")
"""
_MIB = 1024 * 1024
# Seconds between two messages of the innocent client, and the patience of the client.
PAUSE, PATIENCE = 0.02, 20.0
# The largest p99 above that of the idle server in seconds, and of memory per connection in octets.
LIMIT, EACH = 0.05, _MIB


@dataclass
class Innocent:
    """A client that sends messages until `until` (time.time()), and its delays in seconds."""

    port: int
    until: float
    delays: list[float] = field(default_factory=list)
    failures: int = 0

    def run(self) -> None:
        """Send."""
        while (started := time.time()) < self.until:
            try:
                with smtplib.SMTP("127.0.0.1", self.port, "good.example", PATIENCE) as client:
                    client.sendmail("a@good.example", ["good@example.com"], b"Subject: x\r\n\r\nx")
            except (OSError, smtplib.SMTPException):
                self.failures += 1
            self.delays.append(time.time() - started)
            time.sleep(PAUSE)

    def within(self, share: float) -> float:
        """Return the delay that a share of the messages did not exceed."""
        delays = sorted(self.delays)
        return delays[min(len(delays) - 1, int(len(delays) * share))]


@dataclass
class Row:
    """The result of one attack; `memory` is the largest growth in octets."""

    flood: Flood
    attacked: Innocent
    idle: Innocent
    memory: int = 0
    replaced: int = 0
    rounds: int = 0

    @property
    def name(self) -> str:
        """The name of the attack."""
        return self.flood.name

    @property
    def is_slow(self) -> bool:
        """Return whether the innocent client was delayed."""
        return self.attacked.within(0.99) - self.idle.within(0.99) > LIMIT

    @property
    def problems(self) -> list[str]:
        """Descriptions of the errors; delays depend on the machine and are not among them."""
        found = {
            f"{self.replaced} workers replaced": self.replaced,
            f"{self.memory / _MIB:.0f} MiB for {self.flood.lines} connections": self.memory
            > 64 * _MIB + self.flood.lines * EACH + self.flood.memory,
            f"{self.attacked.failures} innocent messages failed": self.attacked.failures,
        }
        return [f"{self.name}: {problem}" for problem, is_true in found.items() if is_true]

    def __str__(self) -> str:
        """Return the line of the table."""
        ms = [self.attacked.within(share) * 1000 for share in (0.5, 0.99, 1.0)]
        ms.append(self.idle.within(0.99) * 1000)
        numbers = " ".join(f"{one:9.1f}" for one in ms)
        return (
            f"{self.name:24} {numbers} {self.memory / _MIB:7.0f} {self.replaced:8} {self.rounds:8}"
        )


HEADING = (
    f"{'attack':24} {'p50':>9} {'p99':>9} {'max':>9} {'idle p99':>9}"
    f" {'+MiB':>7} {'replaced':>8} {'rounds':>8}"
)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(prog="python -m endurance.fairness", description=__doc__)
    add = options.add_argument
    add("--seconds", type=float, default=20.0, help="duration of each attack (default: 20)")
    add("--rows", default="", help="names of attacks, separated by commas (default: all)")
    add("--strict", action="store_true", help="fail also if the innocent client is delayed")
    return options


def chosen_rows(names: str) -> list[int]:
    """Return the numbers of the named attacks; a name without a number is all of its kind."""
    chosen = [name for name in names.split(",") if name]
    return [
        row
        for row, one in enumerate(FLOODS)
        if not chosen or one.name in chosen or one.act.__name__ in chosen
    ]


def run(folder: Path, rows: Sequence[int], seconds: float) -> list[Row]:
    """Run the attacks one after the other and print the table."""
    with ExitStack() as stack:
        pairs: dict[tuple[str, bool], tuple[Subject, Subject]] = {}
        silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        silent.bind(("127.0.0.1", 0))
        policy = POLICY.format(port=silent.getsockname()[1])
        context = get_context("spawn")
        others = ProcessPoolExecutor(1, mp_context=context, initializer=os.nice, initargs=(8,))
        stack.enter_context(others)
        others.submit(pour, 0, 0, 0.0).result()  # start the process
        print(HEADING)
        found = []
        for row in rows:
            flood = FLOODS[row]
            key = flood.limits, flood.policy
            if key not in pairs:
                config = CONFIG.format(limits=flood.limits) + (policy if flood.policy else "")
                pairs[key] = _servers(folder / str(len(pairs)), config, stack)
            found.append(_measure(pairs[key], row, seconds, others))
            print(found[-1], flush=True)
        return found


def _servers(folder: Path, config: str, stack: ExitStack) -> tuple[Subject, Subject]:
    """Start a server to attack and an idle one."""
    attacked, idle = (
        stack.enter_context(_server(folder / name, config)) for name in ("attacked", "idle")
    )
    return attacked, idle


def _server(folder: Path, config: str) -> Subject:
    folder.mkdir(parents=True)
    prepare(folder)
    (folder / "reads_headers.py").write_text(PLUGIN)
    put(folder / "users.auth", make_user("good", b"secret", os.urandom(SALT_SIZE)))
    return Subject(folder, config)


def _measure(
    pair: tuple[Subject, Subject], row: int, seconds: float, others: ProcessPoolExecutor
) -> Row:
    attacked, idle = pair
    flood, until = FLOODS[row], time.time() + seconds
    clients = Innocent(attacked.port, until), Innocent(idle.port, until)
    result = Row(flood, *clients)
    rounds = others.submit(pour, attacked.ports[flood.listener], row, until)
    threads = [threading.Thread(target=one.run) for one in clients]
    for thread in threads:
        thread.start()
    before, workers = attacked.memory(), set(attacked.workers())
    first = len(workers)
    while time.time() < until:
        time.sleep(0.2)
        result.memory = max(result.memory, attacked.memory() - before)
        workers |= set(attacked.workers())
    for thread in threads:
        thread.join()
    result.replaced, result.rounds = len(workers) - first, rounds.result()
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; exit 1 if there is an error."""
    chosen = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gatepost-attack-") as name:
        rows = run(Path(name), chosen_rows(chosen.rows), chosen.seconds)
    problems = [problem for row in rows for problem in row.problems]
    if chosen.strict:
        problems += [f"{row.name}: the innocent client was delayed" for row in rows if row.is_slow]
    for problem in problems:
        print(f"attack: {problem}", file=sys.stderr)
    print("failed" if problems else "no errors")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
