"""The figures of a server: counters from records and statuses, gauges of workers."""

import pytest
from tests.metrics.samples import connection, counter, histogram, hook, status, transaction

from gatepost.ledger import records as r
from gatepost.metrics.counting import GONE, Counting
from gatepost.metrics.families import METRICS
from gatepost.metrics.status import (
    CertificateStatus,
    DestinationStatus,
    ListStatus,
    Series,
    TableStatus,
)
from gatepost.metrics.tables import MOST_VALUES, OTHER, Distribution
from gatepost.metrics.totals import KEEP
from gatepost.net.dns_status import DnsStatus


class Clocks:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clocks()


@pytest.fixture
def counting(clock):
    return Counting(clock=clock, monotonic=clock, version="1")


def values(counting, name):
    """Return the values of a metric by the values of its labels; counts of a histogram."""
    (found,) = [one for one in counting.families() if one.name == name]
    return {
        " ".join(labels): sum(one.counts) if isinstance(one, Distribution) else one
        for labels, one in found.series
    }


def test_every_metric_has_a_name_of_prometheus_and_a_description(counting):
    names = [one.name for one in counting.families()]
    assert sorted(names) == sorted(METRICS)
    for name, metric in METRICS.items():
        assert name.startswith("gatepost_")
        assert name.endswith("_total") == (metric.kind == "counter")
        assert metric.text.endswith(".")
        assert bool(metric.bounds) == (metric.kind == "histogram")


def test_a_connection_is_counted(counting):
    refusal = r.Answer("connect", "dnsbl", "deny", "listed")
    counting.record(connection(end="quit", received=10, sent=20, faults=2, answers=[refusal]))
    assert values(counting, "gatepost_connections_total") == {"mx quit": 1}
    assert values(counting, "gatepost_received_octets_total") == {"": 10}
    assert values(counting, "gatepost_sent_octets_total") == {"": 20}
    assert values(counting, "gatepost_refused_commands_total") == {"": 2}
    assert values(counting, "gatepost_replies_total") == {"5xx listed dnsbl": 1}
    assert values(counting, "gatepost_limits_reached_total") == {}


def test_a_transaction_is_counted(counting):
    counting.record(
        transaction(
            result="refused",
            size=5000,
            seconds=0.3,
            recipients=[r.RecipientRecord("a"), r.RecipientRecord("b", "refused")],
            recipients_count=5,
            traps=[r.Trap("a", "a", "traps")],
            traps_count=3,
            answers=[r.Answer("data", "core", "deny", "trap")],
        )
    )
    assert values(counting, "gatepost_messages_total") == {"refused": 1}
    assert values(counting, "gatepost_recipients_total") == {"accepted": 1, "refused": 4}
    assert values(counting, "gatepost_message_octets") == {"": 1}
    assert values(counting, "gatepost_transaction_seconds") == {"": 1}
    assert values(counting, "gatepost_trap_hits_total") == {"traps": 1, OTHER: 2}
    assert values(counting, "gatepost_trap_messages_total") == {"pristine others yes ": 1}
    assert values(counting, "gatepost_replies_total") == {"5xx trap core": 1}


def test_shadow_mode_is_counted_apart(counting):
    shadow = r.Answer("data", "core", "defer", "trap", shadow=True)
    counting.record(transaction(result="accepted", shadowed=True, answers=[shadow]))
    assert values(counting, "gatepost_shadowed_messages_total") == {"": 1}
    assert values(counting, "gatepost_shadow_replies_total") == {"4xx trap core": 1}
    assert values(counting, "gatepost_replies_total") == {}


def test_a_limit_counts_once_for_its_connection(counting):
    counting.record(connection(end="connections_per_ip"))
    timed_out = r.Answer("", "limits", "defer", "command_timeout")
    counting.record(transaction(answers=[timed_out]))
    counting.record(connection(end="command_timeout", answers=[timed_out]))
    expected = {"connections_per_ip": 1, "command_timeout": 1}
    assert values(counting, "gatepost_limits_reached_total") == expected


def test_deliveries_notices_and_gaps_are_counted(counting):
    counting.record(r.Delivery(1.0, "a-1", "lmtp://x", "deferred"))
    counting.record(r.Notice(1.0, "worker exited"))
    counting.record(r.Gap(2.0, 1.0, 7, "the disk was full"))
    assert values(counting, "gatepost_deliveries_total") == {"lmtp://x deferred": 1}
    assert values(counting, "gatepost_notices_total") == {"worker exited": 1}
    assert values(counting, "gatepost_ledger_lost_total") == {"the disk was full": 7}
    expected = {"delivery": 1, "notice": 1, "gap": 1}
    assert values(counting, "gatepost_ledger_records_total") == expected


def test_further_values_of_a_label_are_counted_together(counting):
    for number in range(MOST_VALUES + 50):
        counting.record(r.Delivery(1.0, "a", f"mx:{number}.example", "delivered"))
    found = values(counting, "gatepost_deliveries_total")
    assert len(found) == MOST_VALUES + 1
    assert found[f"{OTHER} delivered"] == 50


def test_a_long_or_unprintable_value_of_a_label_is_made_safe(counting):
    counting.record(r.Notice(1.0, "a\nb\x1b\ud800" + "x" * 1000))
    (name,) = values(counting, "gatepost_notices_total")
    assert name.startswith(r"a\nb\x1b\ud800xxx")
    assert len(name) == 100


def test_the_counts_of_workers_are_added_up(counting):
    counting.status(status(cpu=1.0, dropped=2, hooks=[hook(3)], plugins=[counter(5)]))
    counting.status(status(cpu=1.5, dropped=2, hooks=[hook(4)], plugins=[counter(6)]))
    counting.status(status(worker=2, pid=101, cpu=1.0, hooks=[hook(1)], plugins=[counter(1)]))
    assert values(counting, "gatepost_hook_seconds") == {"on_rcpt p": 5}
    assert values(counting, "gatepost_plugin_p_hits") == {"": 7}
    assert values(counting, "gatepost_worker_cpu_seconds_total") == {"1": 1.5, "2": 1.0}
    assert values(counting, "gatepost_ledger_dropped_total") == {"": 2}


def test_dns_lookups_are_counted_by_source_and_result(counting):
    for hits in (3, 5):
        dns = DnsStatus({"cache": hits, "query": 2}, {"found": 1, "timeout": 1}, 4, 10, 5000)
        counting.status(status(dns=dns))
    counting.status(status(worker=2, pid=101, dns=DnsStatus({"cache": 1}, unavailable=True)))
    assert values(counting, "gatepost_dns_lookups_total") == {"cache": 6, "query": 2}
    assert values(counting, "gatepost_dns_queries_total") == {"found": 1, "timeout": 1}
    assert values(counting, "gatepost_dns_evictions_total") == {"": 4}
    assert values(counting, "gatepost_dns_cache_entries") == {"1": 10, "2": 0}
    assert values(counting, "gatepost_dns_cache_bytes") == {"1": 5000, "2": 0}
    assert values(counting, "gatepost_dns_unavailable") == {"1": 0, "2": 1}


def test_look_ups_in_tables_are_counted(counting):
    for number in (1, 3):
        counting.status(status(tables=[TableStatus("sql:a", 5 * number, 2, number, 1, 0.5)]))
    other = TableStatus("sql:a", 1, unavailable=True)
    counting.status(status(worker=2, pid=101, tables=[other, TableStatus("sql:b")]))
    assert values(counting, "gatepost_table_keys_total")["sql:a cache"] == 16
    assert values(counting, "gatepost_table_keys_total")["sql:a query"] == 2
    assert values(counting, "gatepost_table_queries_total")["sql:a answered"] == 3
    assert values(counting, "gatepost_table_queries_total")["sql:a failed"] == 1
    assert values(counting, "gatepost_table_seconds_total")["sql:a"] == 0.5
    assert values(counting, "gatepost_table_unavailable") == {"sql:a": 1, "sql:b": 0}


def test_counters_do_not_decrease_when_a_worker_is_replaced(counting):
    counting.status(status(hooks=[hook(3)], plugins=[counter(5), histogram([1, 2, 3])]))
    counting.status(status(pid=101, hooks=[hook(1)], plugins=[counter(1), histogram([1, 0, 0])]))
    assert values(counting, "gatepost_hook_seconds") == {"on_rcpt p": 4}
    assert values(counting, "gatepost_plugin_p_hits") == {"": 6}
    assert values(counting, "gatepost_plugin_p_size") == {"": 7}


def test_a_worker_that_was_suspended_is_not_counted_twice(counting, clock):
    counting.status(status(plugins=[counter(5)]))
    clock.now += KEEP - 1
    counting.status(status(worker=2, pid=101))
    counting.status(status(plugins=[counter(6)]))
    assert values(counting, "gatepost_plugin_p_hits") == {"": 6}


def test_the_counts_of_processes_that_are_gone_are_dropped(counting, clock):
    for number in range(50):
        counting.status(status(pid=number))
        clock.now += KEEP / 2
    assert len(counting._totals._previous) == 3


def test_the_sum_of_a_histogram_does_not_decrease(counting):
    counting.status(
        status(plugins=[Series("gatepost_plugin_p_h", "histogram", {}, -5.0, (), (1,))])
    )
    (family,) = [one for one in counting.families() if one.name == "gatepost_plugin_p_h"]
    assert family.series[0][1].total == 0.0


def test_an_infinite_limit_of_a_histogram_is_the_last_bucket(counting):
    counting.status(status(plugins=[histogram([1, 2, 3], bounds=(1.0, float("inf")))]))
    (family,) = [one for one in counting.families() if one.name == "gatepost_plugin_p_size"]
    ((_, found),) = family.series
    assert (found.bounds, found.counts) == ((1.0,), [1, 5])


def test_a_histogram_with_other_limits_starts_again(counting):
    counting.status(status(plugins=[histogram([1, 2, 3])]))
    counting.status(status(plugins=[histogram([5, 5], bounds=(9.0,))]))
    (family,) = [one for one in counting.families() if one.name == "gatepost_plugin_p_size"]
    ((_, found),) = family.series
    assert (found.bounds, found.counts) == ((9.0,), [5, 5])


def test_a_metric_of_another_kind_or_with_other_labels_is_ignored(counting):
    same = "gatepost_plugin_p_hits"
    counting.status(status(plugins=[counter(5), counter(6, reason="x"), histogram([1], (), same)]))
    assert values(counting, same) == {"": 5}


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -5.0])
def test_a_number_that_cannot_be_added_is_ignored(counting, wrong):
    counting.status(status(plugins=[counter(5)]))
    counting.status(status(plugins=[counter(wrong)]))
    assert values(counting, "gatepost_plugin_p_hits") == {"": 5}


def test_gauges_are_added_up_or_compared(counting, clock):
    first = status(
        sessions=3,
        connections={"mx": 2, "": 1},
        queue=[DestinationStatus("a", 1, 2, 3)],
        oldest=900.0,
        lists=[ListStatus("traps", 5, 990.0)],
        certificates=[CertificateStatus("cert.pem", ["mx"], 2000.0)],
        version="2",
    )
    second = status(
        worker=2,
        pid=101,
        sessions=1,
        connections={"mx": 1},
        queue=[DestinationStatus("a", 10, 0, 0)],
        oldest=950.0,
        quarantined=2,
        quarantine_octets=300,
        lists=[ListStatus("traps", 4, 980.0, "unreadable")],
        certificates=[CertificateStatus("cert.pem", ["mx"], 1500.0)],
    )
    counting.status(first)
    counting.status(second)
    assert values(counting, "gatepost_workers") == {"": 2}
    assert values(counting, "gatepost_sessions_open") == {"": 4}
    assert values(counting, "gatepost_connections_open") == {"mx": 3, "": 1}
    queue = {"a active": 11, "a deferred": 2, "a held": 3}
    assert values(counting, "gatepost_queue_recipients") == queue
    assert values(counting, "gatepost_queue_oldest_seconds") == {"": 100}
    assert values(counting, "gatepost_quarantine_messages") == {"": 2}
    assert values(counting, "gatepost_quarantine_bytes") == {"": 300}
    assert values(counting, "gatepost_list_entries") == {"traps": 4}
    assert values(counting, "gatepost_list_age_seconds") == {"traps": 20}
    assert values(counting, "gatepost_list_problem") == {"traps": 1}
    name = "gatepost_certificate_expiry_timestamp_seconds"
    assert values(counting, name) == {"cert.pem": 1500}
    assert values(counting, "gatepost_build_info") == {"1": 1, "2": 1}


def test_a_worker_that_is_gone_has_no_gauges(counting, clock):
    counting.status(status(memory=5, plugins=[Series("gatepost_plugin_p_x", "gauge", {}, 1)]))
    assert values(counting, "gatepost_worker_resident_memory_bytes") == {"1": 5}
    assert values(counting, "gatepost_plugin_p_x") == {"1": 1}
    clock.now += GONE + 1
    assert values(counting, "gatepost_worker_resident_memory_bytes") == {}
    assert values(counting, "gatepost_workers") == {"": 0}
    assert "gatepost_plugin_p_x" not in {one.name for one in counting.families()}


def test_the_destinations_of_the_queue_are_limited(counting):
    queue = [DestinationStatus(f"{number}.example", number, 0, 0) for number in range(300)]
    counting.status(status(queue=queue))
    found = values(counting, "gatepost_queue_recipients")
    assert found["299.example active"] == 299
    assert found[f"{OTHER} active"] == sum(range(100))
    assert len(found) <= 3 * (MOST_VALUES + 1)
