"""The metrics of one plugin: counters, gauges and histograms in the memory of this process.

The names are those of Prometheus: `gatepost_plugin_<plugin>_<name>`. A histogram has a sample for
each bucket (`_bucket` with the label `le`), the sum (`_sum`) and the number of values (`_count`).

Limits: MOST_METRICS of a plugin; more are an error. MOST_SERIES of a metric: further values of
labels, which may come from clients, are counted together under the value "other". A value of a
label has at most MOST_CHARACTERS.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from threading import Lock
from typing import TypeVar

import msgspec

from gatepost.metrics import status

MOST_METRICS = 100
MOST_SERIES = 100
MOST_CHARACTERS = 100
OTHER = "other"
# Seconds, for the time of a lookup or a scan.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_NO_LABELS = ("le",)

_Labels = tuple[tuple[str, str], ...]


class Sample(msgspec.Struct, frozen=True):
    """One value of one metric; `kind` is "counter", "gauge" or "histogram"."""

    name: str
    labels: Mapping[str, str]
    value: float
    kind: str


class MetricsSnapshot(msgspec.Struct, frozen=True):
    """The values of all metrics at one time; iterate over it for the samples."""

    samples: tuple[Sample, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def value(self, name: str, **labels: str) -> float:
        """Return the value with exactly these labels, 0 without one; raises KeyError for a name."""
        found = [one for one in self.samples if one.name == name]
        if not found:
            names = ", ".join(sorted({one.name for one in self.samples})) or "none"
            raise KeyError(f"no metric {name}, found {names}")
        return sum(one.value for one in found if one.labels == labels)


class Series:
    """Base: the values of one metric for one set of labels."""

    kind = ""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._value = 0.0

    def samples(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Yield suffix of the name, additional labels, and value."""
        yield "", {}, self._value

    def series(self, name: str, labels: Mapping[str, str]) -> status.Series:
        """Return the values for a `Status`."""
        return status.Series(name, self.kind, labels, self._value)


class Counter(Series):
    """A number that only increases."""

    kind = "counter"

    def inc(self, by: float = 1) -> None:
        """Add to the counter; raises ValueError for a negative number."""
        if not by >= 0:
            raise ValueError(f"expected a number of at least 0, found {by!r}")
        with self._lock:
            self._value += by


class Gauge(Series):
    """A number that increases and decreases."""

    kind = "gauge"

    def set(self, value: float) -> None:
        """Set the number."""
        self._value = float(value)

    def inc(self, by: float = 1) -> None:
        """Add to the number."""
        with self._lock:
            self._value += by

    def dec(self, by: float = 1) -> None:
        """Subtract from the number."""
        self.inc(-by)


class Histogram(Series):
    """The distribution of values; `buckets` are the upper limits, in order."""

    kind = "histogram"

    def __init__(self, lock: Lock, buckets: tuple[float, ...] = BUCKETS) -> None:
        super().__init__(lock)
        self._buckets = buckets
        self._counts = [0] * (len(buckets) + 1)

    def observe(self, value: float) -> None:
        """Add a value."""
        with self._lock:
            self._counts[bisect_left(self._buckets, value)] += 1
            self._value += value

    def samples(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """See `Series.samples`."""
        totals = list(accumulate(self._counts))
        limits = [*(f"{limit:g}" for limit in self._buckets), "+Inf"]
        for limit, total in zip(limits, totals, strict=True):
            yield "_bucket", {"le": limit}, total
        yield "_sum", {}, self._value
        yield "_count", {}, totals[-1]

    def series(self, name: str, labels: Mapping[str, str]) -> status.Series:
        """See `Series.series`."""
        with self._lock:
            counts = tuple(self._counts)
            return status.Series(name, self.kind, labels, self._value, self._buckets, counts)


_AnySeries = TypeVar("_AnySeries", bound=Series)


class _Metric:
    """One metric with its series; the names of labels are those of the first."""

    def __init__(self, kind: type[Series], labels: tuple[str, ...], *details: object) -> None:
        self.declared = (kind, labels, *details)
        self.series: dict[_Labels, Series] = {}


class Metrics:
    """The metrics of one plugin. Methods raise ValueError for names that cannot be used."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}
        self._lock = Lock()

    def counter(self, name: str, /, **labels: str) -> Counter:
        """Return a counter."""
        return self._series(name, labels, Counter(self._lock))

    def gauge(self, name: str, /, **labels: str) -> Gauge:
        """Return a gauge."""
        return self._series(name, labels, Gauge(self._lock))

    def histogram(
        self, name: str, /, *, buckets: tuple[float, ...] = BUCKETS, **labels: str
    ) -> Histogram:
        """Return a histogram with these upper limits, in increasing order."""
        if not buckets or list(buckets) != sorted(set(buckets)):
            raise ValueError(f"metric {name}: expected buckets in increasing order")
        return self._series(name, labels, Histogram(self._lock, tuple(buckets)), tuple(buckets))

    def _series(
        self, name: str, labels: Mapping[str, str], new: _AnySeries, *details: object
    ) -> _AnySeries:
        metric = self._metrics.get(name)
        names = tuple(sorted(labels))
        declared = (type(new), names, *details)
        if metric is None:
            metric = self._declare(name, names, _Metric(type(new), names, *details))
        elif metric.declared != declared:
            raise ValueError(f"metric {name}: the kind, labels or buckets differ from the first")
        key = tuple((one, str(labels[one])[:MOST_CHARACTERS]) for one in names)
        if key not in metric.series and len(metric.series) >= MOST_SERIES:
            key = tuple((one, OTHER) for one in names)
        found = metric.series.setdefault(key, new)
        assert isinstance(found, type(new))
        return found

    def _declare(self, name: str, labels: tuple[str, ...], metric: _Metric) -> _Metric:
        for one in (name, *labels):
            if not _NAME.fullmatch(one) or one in _NO_LABELS:
                raise ValueError(
                    f"metric {name}: expected names such as rejected_mails, found {one!r}"
                )
        if len(self._metrics) >= MOST_METRICS:
            raise ValueError(f"metric {name}: the plugin has {MOST_METRICS} metrics already")
        return self._metrics.setdefault(name, metric)

    def samples(self, plugin: str) -> Iterator[Sample]:
        """Yield the values of all metrics of the plugin with this name."""
        for full, labels, series in self._named(plugin):
            for suffix, more, value in series.samples():
                yield Sample(f"{full}{suffix}", {**labels, **more}, value, series.kind)

    def all_series(self, plugin: str) -> Iterator[status.Series]:
        """Yield the metrics of the plugin with this name for a `Status`."""
        for full, labels, series in self._named(plugin):
            yield series.series(full, labels)

    def _named(self, plugin: str) -> Iterator[tuple[str, dict[str, str], Series]]:
        prefix = f"gatepost_plugin_{_NOT_IN_NAMES.sub('_', plugin)}_"
        for name, metric in list(self._metrics.items()):
            for labels, series in list(metric.series.items()):
                yield f"{prefix}{name}", dict(labels), series
