"""Gatepost with a full policy: the plugins, the local store, ledger, metrics, the log in a file."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.request
from typing import TYPE_CHECKING

from tools.daemon import HOST, free_port

from bench.policy.senders import LISTS
from bench.policy.server import Need, Server
from bench.servers import compiled_environment, gatepost_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG = """\
[server]
hostname = "bench.example"
data_dir = "var"

[[listen]]
address = "{host}:0"
proxy_from = ["127.0.0.0/8"]

[limits]
transactions = 1000000
connections_per_ip = 1000
connections_per_network = 1000
connection_rate_per_ip = 1000000
connection_rate_per_network = 1000000
exempt = []

[recipients]
domains = ["bench.example"]

[dns]
servers = ["{host}:{dns}"]

[[route]]
for = ["*"]
to = "discard:"

[log]
level = "info"
file = "gatepost.log"

[metrics]
listen = "{host}:{metrics}"
"""
POLICY = """
[[plugin]]
use = "dnsbl"
options = {{ zones = {lists}, listed = 6 }}

[[plugin]]
use = "spf"
options = {{ fail = 5, softfail = 2 }}

[[plugin]]
use = "reputation"

[[plugin]]
use = "greylist"
options = {{ learn = "1h" }}

[[plugin]]
use = "dkim"

[[plugin]]
use = "dmarc"

[[plugin]]
use = "score"
options = {{ stages = ["message"] }}
"""
# The metric that counts the messages that have passed a check.
PASSED = {
    "spf": 'gatepost_plugin_spf_results_total{result="pass"}',
    "dkim": 'gatepost_plugin_dkim_messages_total{outcome="aligned"}',
    "dmarc": 'gatepost_plugin_dmarc_messages_total{policy="reject",result="pass"}',
}
REPORTED = 15.0  # seconds, more than the interval of the reports
POLL = 0.2
HITS = "gatepost_plugin_dnsbl_hits_total"
VALUE = re.compile(r"^(\S+) ([0-9.e+]+)$", re.MULTILINE)


@contextlib.contextmanager
def gatepost(need: Need) -> Iterator[Server]:
    """Run Gatepost compiled."""
    with _running(need, "gatepost", _policy(), compiled_environment()) as server:
        yield server


@contextlib.contextmanager
def gatepost_pure(need: Need) -> Iterator[Server]:
    """Run Gatepost in pure Python."""
    with _running(need, "gatepost-pure", _policy()) as server:
        yield server


@contextlib.contextmanager
def without_policy(need: Need) -> Iterator[Server]:
    """Run Gatepost compiled, without plugins."""
    with _running(need, "no-policy", "", compiled_environment()) as server:
        yield Server(server.name, server.port, server.parts, dict)


def _policy() -> str:
    return POLICY.format(lists=json.dumps(LISTS))


@contextlib.contextmanager
def _running(
    need: Need, name: str, plugins: str, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    metrics = free_port()
    config = CONFIG.format(host=HOST, dns=need.dns, metrics=metrics) + plugins
    with gatepost_as(config, need.folder, name, env) as running:
        parts = {"gatepost": running.pid}
        yield Server(name, running.port, parts, lambda: found(metrics))


def found(port: int) -> dict[str, int]:
    """Return what the checks have found; workers report their metrics after some seconds."""
    deadline = time.monotonic() + REPORTED
    while not all((last := passed(scrape(port))).values()) and time.monotonic() < deadline:
        time.sleep(POLL)
    return last


def scrape(port: int) -> str:
    """Return the metrics as text."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def passed(metrics: str) -> dict[str, int]:
    """Return how many messages have passed each check, and how often the lists had an entry."""
    values = {name: float(value) for name, value in VALUE.findall(metrics)}
    checks = {check: int(values.get(name, 0)) for check, name in PASSED.items()}
    hits = (value for name, value in values.items() if name.startswith(HITS))
    return {**checks, "dnsbl": int(sum(hits))}
