"""Metrics of plugins: values, names, and limits on labels."""

import asyncio
import threading

import pytest

from gatepost import MetricsSnapshot, Plugin, Sample, Server, config_from_dict
from gatepost.plugin import metrics
from gatepost.plugin.metrics import Metrics
from gatepost.testing import play


def snapshot(made, name="mine"):
    return MetricsSnapshot(tuple(made.samples(name)))


def test_a_counter_counts_by_label():
    made = Metrics()
    made.counter("hits", reason="new").inc()
    made.counter("hits", reason="new").inc(2)
    made.counter("hits", reason="old").inc()
    found = snapshot(made)
    assert list(found) == [
        Sample("gatepost_plugin_mine_hits", {"reason": "new"}, 3.0, "counter"),
        Sample("gatepost_plugin_mine_hits", {"reason": "old"}, 1.0, "counter"),
    ]
    assert found.value("gatepost_plugin_mine_hits", reason="new") == 3
    assert found.value("gatepost_plugin_mine_hits", reason="other") == 0


def test_the_value_of_an_unknown_name_is_an_error():
    with pytest.raises(KeyError, match="no metric x, found none"):
        MetricsSnapshot().value("x")


def test_a_gauge_moves_both_ways():
    gauge = Metrics().gauge("size")
    gauge.set(5)
    gauge.inc()
    gauge.dec(2)
    assert list(gauge.samples()) == [("", {}, 4.0)]


def test_a_histogram_has_buckets_a_sum_and_a_count():
    made = Metrics()
    histogram = made.histogram("seconds", buckets=(1, 2.5), zone="a")
    for value in (0.5, 1, 2, 3):
        histogram.observe(value)
    assert {(one.name[21:], one.labels.get("le")): one.value for one in snapshot(made)} == {
        ("seconds_bucket", "1"): 2,
        ("seconds_bucket", "2.5"): 3,
        ("seconds_bucket", "+Inf"): 4,
        ("seconds_sum", None): 6.5,
        ("seconds_count", None): 4,
    }
    assert {one.labels["zone"] for one in snapshot(made)} == {"a"}


@pytest.mark.parametrize("by", [-1, float("nan")])
def test_a_counter_does_not_decrease(by):
    with pytest.raises(ValueError, match="at least 0"):
        Metrics().counter("hits").inc(by)


@pytest.mark.parametrize("name", ["", "Hits", "two words", "1st", "a-b", "x" * 65, "gr\u00fcn"])
def test_a_wrong_name_is_an_error(name):
    with pytest.raises(ValueError, match="expected names such as"):
        Metrics().counter(name)
    with pytest.raises(ValueError, match="expected names such as"):
        Metrics().counter("hits", **{name: "x"})


def test_the_label_of_buckets_is_reserved():
    with pytest.raises(ValueError, match="found 'le'"):
        Metrics().gauge("hits", le="x")


@pytest.mark.parametrize("buckets", [(), (2, 1), (1, 1)])
def test_wrong_buckets_are_an_error(buckets):
    with pytest.raises(ValueError, match="increasing order"):
        Metrics().histogram("hits", buckets=buckets)


def test_a_metric_has_one_kind_and_one_set_of_labels():
    made = Metrics()
    made.counter("hits", reason="a")
    made.histogram("seconds")
    for other in (
        lambda: made.gauge("hits", reason="a"),
        lambda: made.counter("hits"),
        lambda: made.histogram("seconds", buckets=(1,)),
    ):
        with pytest.raises(ValueError, match="differ from the first"):
            other()


def test_values_of_labels_are_bounded(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_SERIES", 2)
    made = Metrics()
    for number in range(5):
        made.counter("hits", sender=f"{number}" * 300).inc()
    found = {one.labels["sender"]: one.value for one in snapshot(made)}
    assert found == {"0" * 100: 1, "1" * 100: 1, "other": 3}


def test_metrics_are_bounded(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_METRICS", 1)
    made = Metrics()
    made.counter("one")
    with pytest.raises(ValueError, match="has 1 metrics already"):
        made.counter("two")


def test_the_status_of_a_worker_has_all_metrics():
    made = Metrics()
    made.counter("hits", zone="a").inc(3)
    made.histogram("seconds", buckets=(1, 2.5)).observe(2)
    counter, histogram = made.all_series("mine")
    assert (counter.name, counter.labels, counter.value) == (
        "gatepost_plugin_mine_hits",
        {"zone": "a"},
        3.0,
    )
    assert (histogram.value, histogram.bounds, histogram.counts) == (2.0, (1.0, 2.5), (0, 1, 0))


def test_any_name_of_a_plugin_is_a_name():
    made = Metrics()
    made.counter("hits")
    assert [one.name for one in snapshot(made, "a-b.c d")] == ["gatepost_plugin_a_b_c_d_hits"]


def test_threads_lose_no_count():
    counter = Metrics().counter("hits")
    threads = [
        threading.Thread(target=lambda: [counter.inc() for _ in range(5000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(iter(counter.samples()))[2] == 20_000


class Counts(Plugin):
    def on_connect(self, session):
        self.metrics.counter("clients", network=session.peer.host).inc()


def test_a_test_reads_the_metrics():
    result = play("S: 220", [Counts()])
    assert result.metrics.value("gatepost_plugin_counts_clients", network="192.0.2.1") == 1


def test_a_program_reads_the_metrics_of_its_server(tmp_path):
    tables = {
        "listen": [{"address": "127.0.0.1:0"}],
        "recipients": {"domains": ["example.com"]},
        "route": [{"to": "discard:"}],
    }

    async def scenario():
        server = Server(config_from_dict(tables, base=tmp_path), [Counts()])
        assert list(server.metrics) == []
        async with server:
            host, _, port = server.addresses[0][1].rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await reader.readline()
            writer.close()
            return server.metrics.value("gatepost_plugin_counts_clients", network="127.0.0.1")

    assert asyncio.run(scenario()) == 1
