"""All metrics of Gatepost: their names, kinds, labels and descriptions.

docs/monitoring.md has the same table. The names follow the conventions of Prometheus: counters end
in `_total`, times are in seconds, sizes in octets.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from gatepost.metrics.status import HOOK_BUCKETS
from gatepost.metrics.tables import Distribution

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

# From a message without content to the largest usual limit.
OCTETS = (1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
# From a client on the same network to a client that the traps slow down.
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metric(NamedTuple):
    """A metric; `bounds` are those of a histogram."""

    kind: Kind
    labels: Sequence[str]
    text: str
    bounds: Sequence[float] = ()


class Family(NamedTuple):
    """A metric with its values at one time, by the values of the labels."""

    name: str
    metric: Metric
    series: Sequence[tuple[Sequence[str], float | Distribution]]


# Counted from records.
COUNTED: Mapping[str, Metric] = {
    "gatepost_connections_total": Metric(
        "counter",
        ("listener", "end"),
        "Connections that have ended, by the name of the listener and by how they ended.",
    ),
    "gatepost_received_octets_total": Metric("counter", (), "Octets received from clients."),
    "gatepost_sent_octets_total": Metric("counter", (), "Octets sent to clients."),
    "gatepost_refused_commands_total": Metric("counter", (), "Commands that were refused."),
    "gatepost_messages_total": Metric("counter", ("result",), "Transactions that have ended."),
    "gatepost_shadowed_messages_total": Metric(
        "counter", (), "Messages with a trap that shadow mode has accepted."
    ),
    "gatepost_recipients_total": Metric("counter", ("result",), "Recipients of transactions."),
    "gatepost_replies_total": Metric(
        "counter",
        ("class", "reason", "by"),
        "Decisions by the class of the reply: the core's, the protocol's and plugins'.",
    ),
    "gatepost_shadow_replies_total": Metric(
        "counter", ("class", "reason", "by"), "Decisions in shadow mode, which had no effect."
    ),
    "gatepost_message_octets": Metric(
        "histogram", (), "The size of messages that were received completely.", OCTETS
    ),
    "gatepost_transaction_seconds": Metric(
        "histogram", (), "The time from MAIL to the end of the transaction.", SECONDS
    ),
    "gatepost_trap_hits_total": Metric("counter", ("list",), "Recipients that are traps."),
    "gatepost_trap_messages_total": Metric(
        "counter",
        ("class", "outcome", "user", "standing"),
        "Transactions with a trap, by the class of the first one, what happened, whether a user was"
        " among the recipients, and the standing of a known sender.",
    ),
    "gatepost_limits_reached_total": Metric(
        "counter", ("limit",), "Connections and messages that exceeded a limit."
    ),
    "gatepost_deliveries_total": Metric(
        "counter", ("destination", "result"), "Delivery attempts of the queue."
    ),
    "gatepost_notices_total": Metric(
        "counter", ("name",), 'Events of the server, such as "worker exited".'
    ),
    "gatepost_ledger_records_total": Metric("counter", ("kind",), "Records of the ledger."),
    "gatepost_ledger_lost_total": Metric("counter", ("cause",), "Records that were lost."),
}

# Counted from the statuses of workers.
REPORTED: Mapping[str, Metric] = {
    "gatepost_hook_seconds": Metric(
        "histogram",
        ("hook", "plugin"),
        "The time of plugins: waits are measured, calls in place are sampled.",
        HOOK_BUCKETS,
    ),
    "gatepost_ledger_dropped_total": Metric(
        "counter", (), "Records that workers could not pass to the ledger."
    ),
    "gatepost_dns_lookups_total": Metric(
        "counter", ("by",), "DNS lookups of plugins and routes, by the source of the answer."
    ),
    "gatepost_dns_queries_total": Metric(
        "counter", ("result",), "Questions to name servers, by their result."
    ),
    "gatepost_dns_evictions_total": Metric(
        "counter", (), "DNS answers that the cache dropped before their end, because it was full."
    ),
    "gatepost_table_keys_total": Metric(
        "counter", ("table", "by"), "Keys looked up in a table, by the source of the answer."
    ),
    "gatepost_table_queries_total": Metric(
        "counter", ("table", "result"), "Queries to a table, by their result."
    ),
    "gatepost_table_seconds_total": Metric(
        "counter", ("table",), "The time of all queries to a table."
    ),
    "gatepost_worker_cpu_seconds_total": Metric(
        "counter", ("worker",), "User and system time of a worker."
    ),
}

# The latest values of workers.
GAUGES: Mapping[str, Metric] = {
    "gatepost_build_info": Metric("gauge", ("version",), "The versions that run; the value is 1."),
    "gatepost_workers": Metric("gauge", (), "Workers that report their status."),
    "gatepost_sessions_open": Metric("gauge", (), "Open sessions."),
    "gatepost_connections_open": Metric("gauge", ("listener",), "Open sessions by listener."),
    "gatepost_queue_recipients": Metric(
        "gauge",
        ("destination", "state"),
        "Queued recipients: active, deferred and held, without those in quarantine.",
    ),
    "gatepost_queue_oldest_seconds": Metric("gauge", (), "The age of the oldest queued message."),
    "gatepost_quarantine_messages": Metric("gauge", (), "Messages in quarantine."),
    "gatepost_quarantine_bytes": Metric("gauge", (), "The size of the messages in quarantine."),
    "gatepost_store_degraded": Metric(
        "gauge", ("worker",), "1 if the store of plugins is unavailable, otherwise 0."
    ),
    "gatepost_dns_unavailable": Metric(
        "gauge", ("worker",), "1 if no name server answers, otherwise 0."
    ),
    "gatepost_dns_cache_entries": Metric("gauge", ("worker",), "DNS answers in the cache."),
    "gatepost_dns_cache_bytes": Metric("gauge", ("worker",), "Memory of the cache of DNS answers."),
    "gatepost_table_unavailable": Metric(
        "gauge", ("table",), "Workers whose last query to a table has failed."
    ),
    "gatepost_list_entries": Metric("gauge", ("list",), "Entries of a list."),
    "gatepost_list_age_seconds": Metric("gauge", ("list",), "Time since a list was last read."),
    "gatepost_list_problem": Metric(
        "gauge", ("list",), "1 if a list cannot be read, otherwise 0; the old version is used."
    ),
    "gatepost_certificate_expiry_timestamp_seconds": Metric(
        "gauge", ("certificate",), "The time at which a certificate expires."
    ),
    "gatepost_event_loop_lag_seconds": Metric(
        "gauge", ("worker",), "The longest delay of the event loop since the last status."
    ),
    "gatepost_worker_resident_memory_bytes": Metric("gauge", ("worker",), "Resident memory."),
    "gatepost_worker_open_files": Metric("gauge", ("worker",), "Open file descriptors."),
    "gatepost_worker_start_time_seconds": Metric("gauge", ("worker",), "The time of the start."),
}

METRICS: Mapping[str, Metric] = {**COUNTED, **REPORTED, **GAUGES}
