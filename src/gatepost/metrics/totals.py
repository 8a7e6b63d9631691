"""Counters that workers keep themselves, added up over all workers that ever ran.

Each status has the counts since the start of its process. The difference to the previous status of
the same process is added here. So counters never decrease when a worker exits or is replaced.

The counts of a process are kept for KEEP seconds after its last status, so that one that was
suspended and continues is not counted twice.

Limits: MOST_METRICS of all plugins; more are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from operator import lt

from gatepost.metrics.families import REPORTED, Family, Kind, Metric
from gatepost.metrics.status import HookTimes, Series, Status, TableStatus
from gatepost.metrics.tables import Counts, Distribution, Distributions
from gatepost.net.dns_status import DnsStatus

# Seconds for which the counts of a silent process are kept.
KEEP = 3600.0
MOST_METRICS = 1000
TEXT = "A metric of a plugin."
INFINITE = float("inf")

# In the order of the fields of a status.
_DNS = ("gatepost_dns_lookups_total", "gatepost_dns_queries_total")

# By metric: the fields of a `TableStatus`, and the second label of each.
_TABLES: Mapping[str, Mapping[str, str]] = {
    "gatepost_table_keys_total": {"cached": "cache", "asked": "query"},
    "gatepost_table_queries_total": {"answered": "answered", "failed": "failed"},
    "gatepost_table_seconds_total": {"seconds": ""},
}

# The process id and the time of the start.
Process = tuple[int, float]


class _Previous:
    """The latest counts of one process."""

    def __init__(self) -> None:
        self.updated = 0.0
        self.numbers: dict[object, float] = {}
        self.counts: dict[object, tuple[Sequence[float], float]] = {}

    def added(self, key: object, number: float) -> float:
        """Return how much a number has increased since the last call."""
        increase = number - self.numbers.get(key, 0.0)
        self.numbers[key] = number
        return increase if 0 < increase < INFINITE else 0.0

    def added_counts(
        self, key: object, counts: Sequence[float], total: float
    ) -> tuple[Sequence[float], float]:
        """Return the same for the counts and the sum of a histogram.

        Formats for counters have no negative sum, so negative values do not reduce it.
        """
        before, sum_before = self.counts.get(key, ((), 0.0))
        if len(before) != len(counts):
            before, sum_before = (0,) * len(counts), 0.0
        self.counts[key] = (counts, total)
        increases = [max(0, one - two) for one, two in zip(counts, before, strict=True)]
        increase = total - sum_before
        return increases, increase if 0 < increase < INFINITE else 0.0


class Totals:
    """All counters from statuses."""

    def __init__(self) -> None:
        self._previous: dict[Process, _Previous] = {}
        self._hooks = Distributions(2, REPORTED["gatepost_hook_seconds"].bounds)
        self._dropped = Counts(0)
        self._dns = {name: Counts(len(REPORTED[name].labels)) for name in _DNS}
        self._cpu = Counts(1)
        self._evictions = Counts(0)
        self._tables = {name: Counts(len(REPORTED[name].labels)) for name in _TABLES}
        self._plugins: dict[str, PluginTotals] = {}

    def add(self, status: Status, now: float) -> None:
        """Add what a process has counted since its last status; `now` is in seconds."""
        previous = self._previous_of((status.pid, status.started), now)
        self._dropped.add(by=previous.added("dropped", status.dropped))
        self._cpu.add((str(status.worker),), previous.added("cpu", status.cpu))
        self._add_dns(previous, status.dns)
        for table in status.tables:
            self._add_table(previous, table)
        for times in status.hooks:
            self._add_hook(previous, times)
        for series in status.plugins:
            self._add_series(previous, series)

    def _add_dns(self, previous: _Previous, dns: DnsStatus) -> None:
        for name, numbers in zip(_DNS, (dns.lookups, dns.queries), strict=True):
            for value, number in numbers.items():
                self._dns[name].add((value,), previous.added((name, value), number))
        self._evictions.add(by=previous.added("evictions", dns.evictions))

    def _add_table(self, previous: _Previous, table: TableStatus) -> None:
        for name, fields in _TABLES.items():
            for field, label in fields.items():
                values = (table.name, label) if label else (table.name,)
                number = getattr(table, field)
                self._tables[name].add(values, previous.added((name, *values), number))

    def _previous_of(self, process: Process, now: float) -> _Previous:
        previous = self._previous.pop(process, None) or _Previous()
        previous.updated = now
        self._previous[process] = previous  # the last one, so that the first is the oldest
        oldest = next(iter(self._previous))
        if now - self._previous[oldest].updated > KEEP:
            del self._previous[oldest]
        return previous

    def _add_hook(self, previous: _Previous, times: HookTimes) -> None:
        key = (times.hook, times.plugin)
        distribution = self._hooks.at(key)
        if len(times.counts) == len(distribution.counts):
            distribution.merge(*previous.added_counts(key, times.counts, times.seconds))

    def _add_series(self, previous: _Previous, series: Series) -> None:
        if series.kind == "gauge":
            return
        found = self._plugins.get(series.name)
        if found is None:
            if len(self._plugins) >= MOST_METRICS:
                return
            found = self._plugins[series.name] = PluginTotals(series)
        found.add(previous, series)

    def families(self) -> Iterator[Family]:
        """Yield the counters of the server."""
        tables: dict[str, Sequence[tuple[Sequence[str], float | Distribution]]] = {
            "gatepost_hook_seconds": [(key, one.copy()) for key, one in self._hooks],
            "gatepost_ledger_dropped_total": list(self._dropped),
            "gatepost_worker_cpu_seconds_total": list(self._cpu),
            "gatepost_dns_evictions_total": list(self._evictions),
            **{name: list(counts) for name, counts in (self._dns | self._tables).items()},
        }
        for name, metric in REPORTED.items():
            yield Family(name, metric, tables[name])

    def plugin_families(self) -> Iterator[Family]:
        """Yield the counters and histograms of plugins."""
        for name, one in self._plugins.items():
            yield Family(name, one.metric, one.series())


class PluginTotals:
    """One counter or histogram of a plugin; its kind and labels are those of the first series."""

    def __init__(self, first: Series) -> None:
        kind: Kind = "counter" if first.kind == "counter" else "histogram"
        self.metric = Metric(kind, tuple(sorted(first.labels)), TEXT, tuple(first.bounds))
        self._counts = Counts(len(first.labels))
        self._distributions = Distributions(len(first.labels), first.bounds)

    def add(self, previous: _Previous, series: Series) -> None:
        """Add what a process has counted since its last status; ignore another kind of metric."""
        metric = self.metric
        if series.kind != metric.kind or tuple(sorted(series.labels)) != metric.labels:
            return
        values = tuple([series.labels[name] for name in metric.labels])
        key = (series.name, *values)
        if metric.kind == "counter":
            self._counts.add(values, previous.added(key, series.value))
        elif len(series.counts) == len(series.bounds) + 1:
            bounds, counts = _finite(series)
            if all(map(lt, bounds, bounds[1:])) and all(map(isfinite, bounds)):
                self._restart_with(bounds)
                added = previous.added_counts(key, counts, series.value)
                self._distributions.at(values).merge(*added)

    def _restart_with(self, bounds: tuple[float, ...]) -> None:
        """Start the histogram again if the plugin has other limits now, as after a reload."""
        if bounds != self.metric.bounds:
            self.metric = self.metric._replace(bounds=bounds)
            self._distributions = Distributions(len(self.metric.labels), bounds)

    def series(self) -> Sequence[tuple[Sequence[str], float | Distribution]]:
        """Return the values of all labels."""
        if self.metric.kind == "counter":
            return list(self._counts)
        return [(key, one.copy()) for key, one in self._distributions]


def _finite(series: Series) -> tuple[tuple[float, ...], Sequence[int]]:
    """Return the limits and counts of a histogram without a last limit that is infinite."""
    bounds, counts = tuple(series.bounds), series.counts
    if bounds[-1:] == (INFINITE,):
        return bounds[:-1], (*counts[:-2], counts[-2] + counts[-1])
    return bounds, counts
