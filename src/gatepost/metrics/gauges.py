"""The gauges: the latest statuses of all workers, added up or compared.

A list or certificate is the same in each worker. While one of them still has another version, the
older one counts: a problem is visible until all workers are without it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter, itemgetter

from gatepost.metrics.families import GAUGES, Family, Metric
from gatepost.metrics.status import CertificateStatus, ListStatus, Status
from gatepost.metrics.tables import MOST_SERIES, MOST_VALUES, OTHER, clean

MOST_GAUGES = 1000
WORKER = "worker"
TEXT = "A metric of a plugin."
STATES = ("active", "deferred", "held")

_Series = list[tuple[tuple[str, ...], float]]


def gauges(statuses: Sequence[Status], version: str, now: float) -> Iterator[Family]:
    """Yield every gauge; `version` is that of this process, `now` in seconds since 1970."""
    found = _whole(statuses, version, now) | _of_workers(statuses)
    found |= {"gatepost_queue_recipients": _queue(statuses)}
    found |= _of_lists(statuses, now) | {
        "gatepost_table_unavailable": _limited(unavailable_tables(statuses))
    }
    for name, metric in GAUGES.items():
        yield Family(name, metric, found[name])


def plugin_gauges(statuses: Sequence[Status]) -> Iterator[Family]:
    """Yield the gauges of plugins, for each worker."""
    found: dict[str, tuple[tuple[str, ...], dict[tuple[str, ...], float]]] = {}
    for status in statuses:
        for one in status.plugins:
            if one.kind != "gauge" or WORKER in one.labels:
                continue
            names, series = found.setdefault(one.name, (tuple(sorted(one.labels)), {}))
            if tuple(sorted(one.labels)) == names and len(series) < MOST_SERIES:
                values = (clean(one.labels[name]) for name in names)
                series[(str(status.worker), *values)] = one.value
    for name, (names, series) in islice(found.items(), MOST_GAUGES):
        yield Family(name, Metric("gauge", (WORKER, *names), TEXT), list(series.items()))


def _whole(statuses: Sequence[Status], version: str, now: float) -> dict[str, _Series]:
    versions = sorted({version, *(one.version for one in statuses if one.version)})
    listeners: Counter[str] = Counter()
    for one in statuses:
        listeners.update(one.connections)
    return {
        "gatepost_build_info": [((clean(one),), 1.0) for one in versions],
        "gatepost_workers": [((), len(statuses))],
        "gatepost_sessions_open": [((), sum(one.sessions for one in statuses))],
        "gatepost_connections_open": _limited(listeners),
        "gatepost_queue_oldest_seconds": [((), oldest_age(statuses, now))],
        "gatepost_quarantine_messages": [((), sum(one.quarantined for one in statuses))],
        "gatepost_quarantine_bytes": [((), sum(one.quarantine_octets for one in statuses))],
    }


def _of_workers(statuses: Sequence[Status]) -> dict[str, _Series]:
    def series(field: str) -> _Series:
        read = attrgetter(field)
        values = {str(one.worker): float(read(one)) for one in statuses}
        return [((worker,), value) for worker, value in values.items()]

    return {
        "gatepost_store_degraded": series("store_degraded"),
        "gatepost_dns_unavailable": series("dns.unavailable"),
        "gatepost_dns_cache_entries": series("dns.entries"),
        "gatepost_dns_cache_bytes": series("dns.octets"),
        "gatepost_event_loop_lag_seconds": series("lag"),
        "gatepost_worker_resident_memory_bytes": series("memory"),
        "gatepost_worker_open_files": series("files"),
        "gatepost_worker_start_time_seconds": series("started"),
    }


def _queue(statuses: Sequence[Status]) -> _Series:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for status in statuses:
        for one in status.queue:
            for state in STATES:
                found[state][one.destination] += getattr(one, state)
    return [
        ((destination, state), number)
        for state in STATES
        for (destination,), number in _limited(found[state])
    ]


def _of_lists(statuses: Sequence[Status], now: float) -> dict[str, _Series]:
    lists, certificates = all_lists(statuses), all_certificates(statuses)
    return {
        "gatepost_list_entries": _limited({one.path: one.entries for one in lists}),
        "gatepost_list_age_seconds": _limited(
            {one.path: max(0.0, now - one.loaded) for one in lists if one.loaded}
        ),
        "gatepost_list_problem": _limited({one.path: float(bool(one.problem)) for one in lists}),
        "gatepost_certificate_expiry_timestamp_seconds": _limited(
            {one.path: one.expires for one in certificates}
        ),
    }


def all_lists(statuses: Sequence[Status]) -> list[ListStatus]:
    """Return each list once."""
    found: dict[str, ListStatus] = {}
    for status in statuses:
        for one in status.lists:
            known = found.get(one.path)
            if known is None or (bool(one.problem), -one.loaded) > (
                bool(known.problem),
                -known.loaded,
            ):
                found[one.path] = one
    return list(found.values())


def all_certificates(statuses: Sequence[Status]) -> list[CertificateStatus]:
    """Return each certificate once."""
    found: dict[str, CertificateStatus] = {}
    for status in statuses:
        for one in status.certificates:
            known = found.get(one.path)
            if known is None or one.expires < known.expires:
                found[one.path] = one
    return list(found.values())


def unavailable_tables(statuses: Sequence[Status]) -> Counter[str]:
    """Return for each table in how many workers it is unavailable."""
    found: Counter[str] = Counter()
    for one in (table for status in statuses for table in status.tables):
        found[one.name] += one.unavailable
    return found


def oldest_age(statuses: Sequence[Status], now: float) -> float:
    """Return the age of the oldest queued message in seconds, 0 without one."""
    return max((max(0.0, now - one.oldest) for one in statuses if one.oldest), default=0.0)


def _limited(numbers: Mapping[str, float]) -> _Series:
    """Return the series of a label: the largest numbers, and the sum of all others."""
    cleaned: defaultdict[str, float] = defaultdict(float)
    for value, number in sorted(numbers.items(), key=itemgetter(1), reverse=True):
        name = clean(value)
        known = name in cleaned or len(cleaned) < MOST_VALUES
        cleaned[name if known else OTHER] += number
    return [((value,), number) for value, number in cleaned.items()]
