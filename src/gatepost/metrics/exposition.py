"""The text that Prometheus reads: its own format and OpenMetrics, by prometheus-client.

Only the writer of that package is used, with a registry of its own: nothing is counted by it, and
nothing of the whole process is shown.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from gatepost.metrics.counting import Counting
from gatepost.metrics.families import Family
from gatepost.metrics.tables import Distribution

_SUFFIX = "_total"
_SUFFIXES = {
    "counter": (_SUFFIX, "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gauge": (),
}

_KINDS: Mapping[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


class Exposition(NamedTuple):
    """A response: its octets and its media type."""

    content: bytes
    media_type: str


class _Collector:
    """The source of metrics for a registry of prometheus-client."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; of two with the same name, only the first."""
        taken: set[str] = set()
        for family in self._families:
            names = exposed_names(family)
            if taken.isdisjoint(names):
                taken |= names
                yield _metric(family)


def exposed_names(family: Family) -> set[str]:
    """Return the names that a metric uses in the text."""
    name = family.name.removesuffix(_SUFFIX) if family.metric.kind == "counter" else family.name
    return {name, *(f"{name}{suffix}" for suffix in _SUFFIXES[family.metric.kind])}


def expose(counting: Counting, accept: str = "") -> Exposition:
    """Return the text for a client that accepts these media types (the field Accept)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(counting.families()))
    encode, media_type = choose_encoder(accept)
    return Exposition(encode(registry), media_type)


def _metric(family: Family) -> Metric:
    name, metric = family.name, family.metric
    if metric.kind == "histogram":
        return _histogram(family)
    found = _KINDS[metric.kind](name, metric.text, labels=metric.labels)
    for values, value in family.series:
        if isinstance(value, (int, float)):
            found.add_metric(values, value)
    return found


def _histogram(family: Family) -> Metric:
    found = HistogramMetricFamily(family.name, family.metric.text, labels=family.metric.labels)
    for values, one in family.series:
        if isinstance(one, Distribution):
            limits = [*map(floatToGoString, one.bounds), "+Inf"]
            buckets = list(zip(limits, accumulate(one.counts), strict=True))
            found.add_metric(values, buckets=buckets, sum_value=one.total)
    return found
