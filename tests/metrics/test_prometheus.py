"""A real Prometheus scrapes a real endpoint; the board and the alerts work with the result."""

import json
import re
import subprocess
import time

import pytest
from tests.docs.pages import ROOT
from tests.metrics.samples import connection, counter, histogram, hook, status, transaction
from tools import peers, prometheus

from gatepost.ledger import records as r
from gatepost.metrics.counting import Counting
from gatepost.metrics.exposition import expose
from gatepost.metrics.families import METRICS
from gatepost.metrics.health import Health
from gatepost.metrics.http import serve_metrics
from gatepost.metrics.status import (
    CertificateStatus,
    DestinationStatus,
    ListStatus,
    Series,
    TableStatus,
)
from gatepost.net.dns_status import DnsStatus

RULES = ROOT / "contrib/prometheus/alerts.yml"
BOARD = json.loads((ROOT / "contrib/grafana/gatepost.json").read_text("utf-8"))
# Grafana's variables, with values as it sets them.
VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
PATIENCE = 60.0


def busy():
    """Return figures in which every metric has a value."""
    counting = Counting()
    core = r.Answer("rcpt", "core", "deny", "unknown-user")
    shadow = r.Answer("data", "core", "deny", "trap", shadow=True)
    for _ in range(30):
        counting.record(connection(end="quit", received=100, sent=50, faults=1, answers=[core]))
    counting.record(connection(end="connections_per_ip"))
    counting.record(
        transaction(
            result="deferred",
            size=1000,
            seconds=1.0,
            shadowed=True,
            recipients=[r.RecipientRecord("a@example.com")],
            traps=[r.Trap("a", "a", "traps")],
            answers=[core, shadow],
        )
    )
    counting.record(r.Delivery(1.0, "a", "lmtp://x", "delivered"))
    counting.record(r.Notice(1.0, "started"))
    counting.record(r.Gap(1.0, 1.0, 3, "the disk was full"))
    counting.status(
        status(
            time=time.time(),
            sessions=2,
            connections={"mx": 2},
            store_degraded=True,
            dns=DnsStatus({"cache": 3}, {"found": 1}, 1, 2, 1000, unavailable=True),
            lists=[ListStatus("traps", 5, time.time(), "unreadable")],
            tables=[TableStatus("sql:users", 5, 2, 1, 1, 0.5, unavailable=True)],
            certificates=[CertificateStatus("cert.pem", ["*"], time.time() + 3600)],
            queue=[DestinationStatus("lmtp://x", 1, 2, 3)],
            oldest=time.time() - 20_000,
            hooks=[hook(5)],
            plugins=[counter(3), histogram([1, 2, 3]), Series("gatepost_plugin_p_g", "gauge")],
        )
    )
    return counting


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """A Prometheus that has scraped and evaluated twice; yields its address."""
    counting = busy()
    latest = counting.statuses[0]
    server = serve_metrics("127.0.0.1:0", counting, lambda: Health(live=True, ready=True))
    try:
        folder = tmp_path_factory.mktemp("prometheus")
        with prometheus.running(folder, str(server.address), RULES) as address:
            deadline = time.monotonic() + PATIENCE
            while not is_evaluated(address):
                assert time.monotonic() < deadline, (folder / "prometheus.log").read_text()
                counting.status(latest)
                time.sleep(0.1)
            yield address
    except peers.UnavailableError as error:
        pytest.skip(str(error))
    finally:
        server.close()


def is_evaluated(address):
    rules = prometheus.rules(address)
    scrapes = prometheus.query(address, "count_over_time(gatepost_workers[5m])")
    return (
        scrapes and int(scrapes[0]["value"][1]) >= 3 and all(one["health"] == "ok" for one in rules)
    )


def test_every_metric_has_arrived(scraped):
    for name, metric in METRICS.items():
        sample = f"{name}_count" if metric.kind == "histogram" else name
        assert prometheus.query(scraped, sample), name
    assert prometheus.query(scraped, "gatepost_plugin_p_hits_total")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_of_the_board_has_a_result(scraped, expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert prometheus.query(scraped, expression)


def test_the_rules_are_evaluated_and_find_the_problems(scraped):
    found = {one["name"]: one["state"] for one in prometheus.rules(scraped)}
    assert {one["health"] for one in prometheus.rules(scraped)} == {"ok"}
    problems = {
        *("GatepostQueueOld", "GatepostMailHeld", "GatepostCertificateExpires"),
        *("GatepostStoreDegraded", "GatepostDnsUnavailable", "GatepostListProblem"),
    }
    assert {name for name, state in found.items() if state != "inactive"} == problems


def test_every_metric_of_the_board_and_the_rules_exists():
    text = json.dumps(EXPRESSIONS) + RULES.read_text("utf-8")
    known = {f"{name}{suffix}" for name in METRICS for suffix in ("", "_bucket", "_sum")}
    assert set(re.findall(r"gatepost_\w+", text)) <= known


def test_the_panels_of_the_board_do_not_overlap():
    places = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & places, panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def promtool(*arguments, text=""):
    command = peers.find("promtool")
    if command is None:
        pytest.skip(peers.missing(["promtool"])["promtool"])
    return subprocess.run(
        command.argv(*arguments),
        env=command.env,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_promtool_accepts_the_rules():
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stderr


def test_promtool_accepts_the_metrics():
    done = promtool("check", "metrics", text=expose(busy()).content.decode())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
