"""The servers that are measured, each in its fastest set-up.

There is one function per server: a context manager that writes the files of the server into a
folder, starts it on a free loopback port and yields it when it greets. All accept mail for
bench.example and discard it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import compiled, peers
from tools.daemon import HOST, free_port

from bench.process import (
    POLL,
    BenchError,
    Running,
    Starting,
    process,
    wait_until_greeting,
)
from bench.traplist import write_traps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
GATEPOST = CHECKOUT / ".venv/bin/gatepost"
PYTHON = GATEPOST.with_name("python")
TRAP = "trap@bench.example"
READY = re.compile(rb"^gatepost: ready .*\b(?:smtp|milter)=127\.0\.0\.1:(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Tls:
    """The mode of TLS, "starttls" or "implicit", and its files."""

    mode: str
    cert: Path
    key: Path


@dataclass(frozen=True)
class Setup:
    """The requirements of a scenario for a server."""

    folder: Path  # empty, for this server only
    refuses: bool = False  # DATA is refused
    traps: int = 100_000  # addresses in the trap list, for the server that has one
    connections: int = 1000  # held at once
    tls: Tls | None = None
    config: str = ""  # for Gatepost, in place of its default configuration
    trap_keys: str = ""  # for Gatepost, more keys of [traps]


# gatepost

# One route for all mail, and no limits for the local machine.
ROUTE_CONFIG = """\
[server]
hostname = "bench.example"

[[listen]]
address = "127.0.0.1:0"

[limits]
exempt = ["127.0.0.0/8"]
transactions = 1000000

[recipients]
domains = ["example.com"]

[[route]]
for = ["*"]
{route}

[log]
level = "error"
"""
GATEPOST_CONFIG = """\
[server]
hostname = "bench.example"
data_dir = "var"

[[listen]]
address = "127.0.0.1:0"
tls = "{tls}"

[limits]
transactions = 1000000
connections = {connections}
connections_per_ip = {connections}
connections_per_network = {connections}
connection_rate_per_ip = 1000000
connection_rate_per_network = 1000000
exempt = []

[recipients]
domains = ["bench.example"]

[traps]
lists = ["traps"]
delay = "0s"
{keys}

[[route]]
for = ["*"]
to = "discard:"
"""
# Everything else is the default: the level "info", the ledger, the metrics.
DEFAULT_CONFIG = """
[log]
file = "gatepost.log"
"""
QUIET_CONFIG = """
[log]
level = "error"

[ledger]
enabled = false
"""
GATEPOST_TLS = """
[tls]
certificates = [{{ cert = "{cert}", key = "{key}" }}]
"""


@contextlib.contextmanager
def gatepost(setup: Setup) -> Iterator[Running]:
    """Serve as installed by pip: compiled, the default configuration, a trap list, no limits."""
    with gatepost_under((), setup, "gatepost", compiled_environment()) as running:
        yield running


@contextlib.contextmanager
def gatepost_quiet(setup: Setup) -> Iterator[Running]:
    """Serve the same without a log and without a ledger."""
    setup = dataclasses.replace(setup, config=QUIET_CONFIG)
    with gatepost_under((), setup, "gatepost-quiet", compiled_environment()) as running:
        yield running


def compiled_environment() -> Mapping[str, str]:
    """Return the environment of the compiled build; raise BenchError without a compiler."""
    try:
        return {"PYTHONPATH": str(compiled.build())}
    except compiled.NoCompilerError as error:
        raise BenchError(str(error)) from error


@contextlib.contextmanager
def gatepost_pure(setup: Setup) -> Iterator[Running]:
    """Serve from the source, in pure Python."""
    with gatepost_under((), setup, "gatepost-pure") as running:
        yield running


@contextlib.contextmanager
def gatepost_pure_quiet(setup: Setup) -> Iterator[Running]:
    """Serve from the source, without a log and without a ledger."""
    setup = dataclasses.replace(setup, config=QUIET_CONFIG)
    with gatepost_under((), setup, "gatepost-pure-quiet") as running:
        yield running


@contextlib.contextmanager
def gatepost_under(
    interpreter: Sequence[str], setup: Setup, name: str, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Serve under another interpreter command, for example a profiler."""
    write_traps(setup.folder / "traps", setup.traps, TRAP)
    with gatepost_as(_gatepost_config(setup), setup.folder, name, env, interpreter) as running:
        yield running


@contextlib.contextmanager
def gatepost_as(
    config: str,
    folder: Path,
    name: str,
    env: Mapping[str, str] | None = None,
    interpreter: Sequence[str] = (),
) -> Iterator[Running]:
    """Write a configuration to the folder and serve with it."""
    if not GATEPOST.exists():
        raise BenchError(f"gatepost is not installed at {GATEPOST}")
    file = folder / "gatepost.toml"
    file.write_text(config)
    argv = [*interpreter, str(GATEPOST), "serve", "-c", str(file)]
    with process(name, argv, os.environ | (env or {}), folder / "log") as starting:
        yield _wait_until_ready(starting)


def _gatepost_config(setup: Setup) -> str:
    tls = setup.tls
    more = GATEPOST_TLS.format(cert=tls.cert, key=tls.key) if tls else ""
    connections = setup.connections + 100
    text = GATEPOST_CONFIG.format(
        connections=connections, tls=tls.mode if tls else "none", keys=setup.trap_keys
    )
    return text + (setup.config or DEFAULT_CONFIG) + more


def _wait_until_ready(starting: Starting) -> Running:
    while not (ready := READY.search(starting.log.read_bytes())):
        starting.check()
        time.sleep(POLL)
    return starting.running(int(ready[1]))


# Peers


def _peer(name: str) -> peers.Command:
    command = peers.find(name)
    if command is None:
        raise BenchError(f"{name} is missing: {peers.missing([name])[name]}")
    return command


@contextlib.contextmanager
def floor(setup: Setup) -> Iterator[Running]:
    """Run the yardstick: Python on uvloop with canned replies."""
    port = free_port()
    script = Path(__file__).with_name("floor.py")
    argv = [str(PYTHON), str(script), str(port), "refuse" if setup.refuses else "accept"]
    with process("floor", argv, os.environ, setup.folder / "log") as starting:
        yield wait_until_greeting(starting, port)


@contextlib.contextmanager
def smtp_sink(setup: Setup) -> Iterator[Running]:
    """Run Postfix's own discard server, in C: it parses little and checks nothing."""
    command, port = _peer("smtp-sink"), free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # as root it requires another user
    refusal = ["-f", "data"] if setup.refuses else []
    limit = ["-m", str(setup.connections + 100)]
    argv = command.argv(*user, *refusal, *limit, f"{HOST}:{port}", "1024")
    with process("smtp-sink", argv, command.env, setup.folder / "log") as starting:
        yield wait_until_greeting(starting, port)


@contextlib.contextmanager
def aiosmtpd(setup: Setup) -> Iterator[Running]:
    """Run the Python library on uvloop, with a handler that discards."""
    command, port = _peer("aiosmtpd"), free_port()
    script = Path(__file__).with_name("aiosmtpd_server.py")
    tls = [setup.tls.mode, str(setup.tls.cert), str(setup.tls.key)] if setup.tls else []
    argv = command.argv(script, str(port), "refuse" if setup.refuses else "accept", *tls)
    with process("aiosmtpd", argv, command.env, setup.folder / "log") as starting:
        mode = setup.tls.mode if setup.tls else "none"
        yield wait_until_greeting(starting, port, implicit=mode == "implicit")


HARAKA_FILES = {
    "config/smtp.ini": "listen={host}:{port}\nnodes=0\n",
    "config/log.ini": "[main]\nlevel=error\n",
    "config/connection.ini": """\
[message]
helo=bench.example
close=closing connection
[headers]
add_received=true
max_received=100
[max]
bytes=26214400
line_length=512
data_line_length=992
[uuid]
banner_chars=6
deny_chars=0
""",
    "config/me": "bench.example\n",
    "config/plugins": "discard\n",
    "config/host_list": "bench.example\n",
    "plugins/discard.js": """\
'use strict';
exports.hook_lookup_rdns = (next) => next(OK, 'client.example');
exports.hook_rcpt = (next) => next(OK);
exports.hook_queue = (next) => next(OK);
{refusal}
""",
}


@contextlib.contextmanager
def haraka(setup: Setup) -> Iterator[Running]:
    """Run the Node server in one process, one plugin that accepts and discards, no DNS, no log."""
    command, port = _peer("haraka"), free_port()
    refusal = "exports.hook_data = (next) => next(DENY, 'Refused');" if setup.refuses else ""
    for name, text in HARAKA_FILES.items():
        path = setup.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(host=HOST, port=port, refusal=refusal))
    argv = command.argv("-c", setup.folder)
    with process("haraka", argv, command.env, setup.folder / "log") as starting:
        yield wait_until_greeting(starting, port)


SERVERS: dict[str, Callable[[Setup], contextlib.AbstractContextManager[Running]]] = {
    "gatepost": gatepost,
    "gatepost-pure": gatepost_pure,
    "floor": floor,
    "smtp-sink": smtp_sink,
    "aiosmtpd": aiosmtpd,
    "haraka": haraka,
}

# The same servers without log and ledger; only the loads with messages have them.
QUIET: dict[str, Callable[[Setup], contextlib.AbstractContextManager[Running]]] = {
    "gatepost-quiet": gatepost_quiet,
    "gatepost-pure-quiet": gatepost_pure_quiet,
}

REFERENCE = "floor"  # ratios are to this one
SLOW = {"aiosmtpd", "haraka"}  # given a fifth of the messages, to be measured in as many seconds


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of the peers among some servers."""
    asked = [name for name in names if name in peers.PROGRAMS]
    found = {name: command.version for name in asked if (command := peers.find(name))}
    return {"python": sys.version.split()[0], **found}
