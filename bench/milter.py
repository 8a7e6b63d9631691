"""The cost of milters that do nothing, in front of the same Postfix: CPU, and time of a message.

Each milter has a port of Postfix of its own. The load and its order are the same for all. Postfix
discards the messages. Gatepost has its default configuration and a list of traps, which none of the
messages hits; rspamd has no modules; OpenDKIM verifies messages without a signature.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from tools import daemon, peers, postfix
from tools.daemon import HOST, free_port
from tools.rspamd import FILES, variables

from bench import load, proc
from bench.process import POLL, BenchError, Running, process
from bench.relay import RECIPIENT, WAYS
from bench.run import progress
from bench.servers import DEFAULT_CONFIG, TRAP, compiled_environment, gatepost_as
from bench.table import Table
from bench.traplist import write_traps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.run import Bench

LOADS = {
    "new": load.Load(2_000, recipient=RECIPIENT),
    "reused": load.Load(4_000, reuse=True, recipient=RECIPIENT),
}
TRAPS = 100_000
TIMED = 100  # messages of one client in a round: some milters take 0.1 s for each
# What is compared with every milter: the same Postfix without one.
NONE = "none"

GATEPOST = """\
[server]
hostname = "bench.example"

[[listen]]
address = "127.0.0.1:0"
protocol = "milter"

[recipients]
domains = ["example.com"]

[traps]
lists = ["traps"]
"""
RSPAMD = (
    """\
options {{
  filters = "";
"""
    + FILES
    + """\
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
worker "rspamd_proxy" {{
  bind_socket = "{host}:{port}";
  milter = yes;
  timeout = 120s;
  upstream "local" {{ default = yes; self_scan = yes; }}
  count = 1;
}}
"""
)
OPENDKIM = """\
Mode v
Socket inet:{port}@{host}
Background no
Syslog no
PidFile {folder}/opendkim.pid
"""
MAIN = {
    "virtual_transport": "discard:",
    "in_flow_delay": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "milter_default_action": "tempfail",
}
SERVICE = "{host}:{port} inet n - n - - smtpd -o smtpd_milters={milters}"


class Milter(NamedTuple):
    """A milter that runs; without one `pid` is 0 and `port` that of nothing."""

    pid: int = 0
    port: int = 0


class Figures(NamedTuple):
    """One round: CPU seconds of the milter and of Postfix, and seconds a message takes."""

    milter: float
    postfix: float
    took: float


@contextlib.contextmanager
def _none(_folder: Path) -> Iterator[Milter]:
    yield Milter()


@contextlib.contextmanager
def _gatepost(folder: Path) -> Iterator[Milter]:
    write_traps(folder / "traps", TRAPS, TRAP)
    config = GATEPOST + DEFAULT_CONFIG
    with gatepost_as(config, folder, "gatepost", compiled_environment()) as running:
        yield Milter(running.pid, running.port)


@contextlib.contextmanager
def _rspamd(folder: Path) -> Iterator[Milter]:
    (folder / "tld").write_text("com\nexample\n")
    with _peer("rspamd", folder, RSPAMD, ["-i", "-f", *variables(folder)]) as milter:
        yield milter


@contextlib.contextmanager
def _opendkim(folder: Path) -> Iterator[Milter]:
    with _peer("opendkim", folder, OPENDKIM, ["-f"]) as milter:
        yield milter


@contextlib.contextmanager
def _peer(name: str, folder: Path, config: str, options: list[str]) -> Iterator[Milter]:
    """Run a milter with a configuration file on a free port."""
    command = peers.find(name)
    if command is None:
        raise BenchError(f"{name} is missing: {peers.missing([name])[name]}")
    port, file = free_port(), folder / f"{name}.conf"
    file.write_text(config.format(folder=folder, host=HOST, port=port))
    argv = command.argv(*options, "-c" if name == "rspamd" else "-x", file)
    with process(name, argv, command.env, folder / "out") as starting:
        while not daemon.accepts(port):
            starting.check()
            time.sleep(POLL)
        yield Milter(starting.child.pid, port)


MILTERS: Mapping[str, Callable[[Path], contextlib.AbstractContextManager[Milter]]] = {
    NONE: _none,
    "gatepost": _gatepost,
    "rspamd": _rspamd,
    "opendkim": _opendkim,
}


def measure_milter(bench: Bench) -> None:
    """Measure what each milter costs, and what it adds to the time of a message."""
    header = ("connections", "milter", "CPU ms", "CPU ms of Postfix", "ms a message", "ms added")
    table = Table("Milter", header)
    with bench.attempt("milter"), contextlib.ExitStack() as stack:
        milters = _started(bench, stack)
        ports = {name: free_port() for name in milters}
        services = [_service(ports[name], milter) for name, milter in milters.items()]
        try:
            mail = stack.enter_context(postfix.running(MAIN, services))
        except (peers.UnavailableError, RuntimeError) as error:
            raise BenchError(str(error)) from error
        for way in LOADS:
            figures: dict[str, list[Figures]] = {name: [] for name in milters}
            for number, name in itertools.product(range(bench.rounds), milters):
                progress(f"milter: {way}, round {number + 1} of {bench.rounds}, {name}")
                figures[name].append(_round(bench, way, milters[name], mail, ports[name]))
            table.rows += _rows(way, figures)
    bench.tables.append(table)


def _started(bench: Bench, stack: contextlib.ExitStack) -> dict[str, Milter]:
    found = {}
    for name, start in MILTERS.items():
        with bench.attempt(f"milter: {name}"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            found[name] = stack.enter_context(start(Path(folder)))
    return found


def _service(port: int, milter: Milter) -> str:
    milters = f"inet:{HOST}:{milter.port}" if milter.pid else ""
    return SERVICE.format(host=HOST, port=port, milters=milters)


def _round(bench: Bench, way: str, milter: Milter, mail: postfix.Postfix, port: int) -> Figures:
    """Send the load, then time single messages."""
    full = LOADS[way]
    some = load.Load(bench.scaled(full.messages), reuse=full.reuse, recipient=full.recipient)
    before = proc.cpu_seconds(milter.pid) if milter.pid else 0.0
    of_postfix = load.send(Running("postfix", mail.pid, port, 0.0), some).cpu
    of_milter = proc.settled_cpu_seconds(milter.pid) - before if milter.pid else 0.0
    took = median(WAYS[way](port, bench.scaled(TIMED)))
    return Figures(of_milter / some.messages, of_postfix / some.messages, took)


def _rows(way: str, figures: Mapping[str, list[Figures]]) -> list[tuple[str, ...]]:
    middle = {
        name: Figures(*(median(each) * 1000 for each in zip(*rounds, strict=True)))
        for name, rounds in figures.items()
    }
    return [
        (
            way,
            name,
            f"{one.milter:.3f}" if name != NONE else "",
            f"{one.postfix:.2f}",
            f"{one.took:.2f}",
            f"{one.took - middle[NONE].took:.2f}" if NONE in middle else "",
        )
        for name, one in middle.items()
    ]
