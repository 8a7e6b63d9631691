"""The text for Prometheus, read back by the parsers of prometheus-client."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from tests.metrics.samples import RECORDS, STATUSES, connection, counter, hook, status, transaction

from gatepost.metrics.counting import Counting
from gatepost.metrics.exposition import expose
from gatepost.metrics.families import METRICS
from gatepost.metrics.status import Series

OPEN = "application/openmetrics-text; version=1.0.0"
FORMATS = [("", prometheus), (OPEN, open_metrics)]


def samples(counting, accept, parse):
    """Return all samples of an exposition by name and labels."""
    text = expose(counting, accept).content.decode()
    found = [one for family in parse(text) for one in family.samples]
    keys = [(one.name, tuple(sorted(one.labels.items()))) for one in found]
    assert len(keys) == len(set(keys))
    return dict(zip(keys, (one.value for one in found), strict=True))


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
def test_the_figures_are_those_that_were_counted(accept, parse):
    counting = Counting(version="1.2.3")
    counting.record(connection(end="quit"))
    counting.record(transaction(result="accepted", size=5000, seconds=0.3))
    counting.status(status(sessions=3, hooks=[hook(5)], plugins=[counter(2, reason='a "b" \\c')]))
    found = samples(counting, accept, parse)
    assert found["gatepost_build_info", (("version", "1.2.3"),)] == 1
    assert found["gatepost_connections_total", (("end", "quit"), ("listener", "mx"))] == 1
    assert found["gatepost_messages_total", (("result", "accepted"),)] == 1
    assert found["gatepost_message_octets_sum", ()] == 5000
    assert found["gatepost_message_octets_bucket", (("le", "4096.0"),)] == 0
    assert found["gatepost_message_octets_bucket", (("le", "16384.0"),)] == 1
    assert found["gatepost_sessions_open", ()] == 3
    assert found["gatepost_hook_seconds_count", (("hook", "on_rcpt"), ("plugin", "p"))] == 5
    assert found["gatepost_plugin_p_hits_total", (("reason", 'a "b" \\c'),)] == 2


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("text/html, nonsense;;;q=x", "text/plain; version=0.0.4"),
        (OPEN, "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_the_client_chooses_the_format(accept, expected):
    assert expose(Counting(), accept).media_type.startswith(expected)


def test_every_metric_is_described_before_its_first_event():
    text = expose(Counting()).content.decode()
    for name, metric in METRICS.items():
        assert f"# HELP {name} {metric.text}\n" in text
        assert f"# TYPE {name} {metric.kind}\n" in text


def test_two_metrics_with_the_same_name_are_exposed_once():
    counting = Counting()
    name = "gatepost_plugin_p_hits"
    clash = [counter(1, name), Series(f"{name}_total", "gauge", {}, 2), counter(3, f"{name}_total")]
    counting.status(status(plugins=clash))
    found = samples(counting, "", prometheus)
    assert found[f"{name}_total", ()] == 1


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
@given(facts=st.lists(st.one_of(RECORDS, STATUSES), max_size=6))
def test_no_record_and_no_status_breaks_the_text(accept, parse, facts):
    counting = Counting()
    for one in facts:
        count = counting.status if isinstance(one, STATUS) else counting.record
        count(one)
    assert samples(counting, accept, parse)


STATUS = type(status())
