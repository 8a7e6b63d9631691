"""All figures of a server: counted from its records, and from the statuses of its workers.

The ledger process calls `count` and `status`; a scrape reads `families` in another thread. Records
of a shape are counted together, and their number is spread to the metrics at a scrape, or before if
many shapes wait.
Counters never decrease. A worker that has sent no status for GONE seconds has no gauges any more.

Text of clients never becomes a label. Reasons and destinations can be chosen by plugins and users,
so their number is limited (`gatepost.metrics.tables`).

Limits: a record lists at most 100 recipients, traps and decisions. Further recipients count with
the result of the message, further traps under the list "other", further decisions not at all.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from threading import Lock
from typing import Final

from gatepost._version import __version__
from gatepost.config.schema import LimitsConfig
from gatepost.ledger.extract import (
    AnswerExtract,
    ConnectionExtract,
    DeliveryExtract,
    Extract,
    GapExtract,
    NoticeExtract,
    TransactionExtract,
    converted,
)
from gatepost.ledger.matching import kind_of
from gatepost.ledger.records import Record
from gatepost.ledger.shape import Shape, Shapes, connections_of, transactions_of
from gatepost.ledger.trap_outcome import outcome_of, standing_of, users_of
from gatepost.metrics.families import COUNTED, Family
from gatepost.metrics.gauges import gauges, plugin_gauges
from gatepost.metrics.status import Status
from gatepost.metrics.tables import OTHER, Counts, Distributions, Values
from gatepost.metrics.totals import INFINITE, Totals
from gatepost.traps.verdicts import TrapClass

GONE: Final = 30.0
# Shapes that are counted before they are spread.
MOST: Final = 200

_LIMITS: Final = frozenset(LimitsConfig.__struct_fields__)
_CLASSES: Final = {"accept": "2xx", "hold": "2xx", "deny": "5xx", "defer": "4xx"}


class Counting:
    """The figures of one server; threads may share it.

    `clock` returns seconds since 1970, `monotonic` seconds. `version` is that of this process.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        version: str = __version__,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._version = version
        self._lock = Lock()
        self._shapes: Counter[Shape] = Counter()
        self._known = Shapes()
        self._counts = {
            name: Counts(len(metric.labels))
            for name, metric in COUNTED.items()
            if metric.kind == "counter"
        }
        self._distributions = {
            name: Distributions(len(metric.labels), metric.bounds)
            for name, metric in COUNTED.items()
            if metric.kind == "histogram"
        }
        self._totals = Totals()
        self._statuses: dict[int, tuple[float, Status]] = {}

    # records

    def record(self, record: Record) -> None:
        """Count a record of a server that has no ledger process."""
        extracts = [converted(record)]
        self.count(extracts, self._known.of(extracts))

    def count(self, extracts: Sequence[Extract], shapes: Sequence[Shape]) -> None:
        """Count records; `shapes` has the shape of each."""
        connections = connections_of(extracts, shapes)
        transactions = transactions_of(extracts, shapes)
        with self._lock:
            self._shapes.update(shapes)
            if len(self._shapes) > MOST:
                self._spread()
            self._add_octets(connections)
            self._observe("gatepost_transaction_seconds", [one.seconds for one in transactions])
            sizes = [one.size for one in transactions if one.size > 0]
            self._observe("gatepost_message_octets", sizes)

    def _add_octets(self, some: list[ConnectionExtract]) -> None:
        if some:
            received = sum([max(0, one.received) for one in some])
            self._add("gatepost_received_octets_total", by=received)
            self._add("gatepost_sent_octets_total", by=sum([max(0, one.sent) for one in some]))
            faults = sum([max(0, one.faults) for one in some])
            self._add("gatepost_refused_commands_total", by=faults)

    def _observe(self, name: str, values: Sequence[float]) -> None:
        if values and not (min(values) >= 0 and isfinite(sum(values))):
            values = [value for value in values if 0 <= value < INFINITE]
        if values:
            self._distributions[name].at().observe(values)

    def _spread(self) -> None:
        """Count what the records of each shape have in common."""
        for shape, times in self._shapes.items():
            example = shape.example
            self._add("gatepost_ledger_records_total", (kind_of(example),), times)
            match example:
                case ConnectionExtract():
                    self._connection(example, times)
                case TransactionExtract():
                    self._transaction(example, times)
                case DeliveryExtract():
                    labels = (example.destination, example.result)
                    self._add("gatepost_deliveries_total", labels, times)
                case NoticeExtract():
                    self._add("gatepost_notices_total", (example.name,), times)
                case GapExtract():
                    lost = max(0, example.count) * times
                    self._add("gatepost_ledger_lost_total", (example.cause,), lost)
        self._shapes.clear()

    def _add(self, name: str, values: Values = (), by: float = 1) -> None:
        self._counts[name].add(values, by)

    def _connection(self, one: ConnectionExtract, times: int) -> None:
        self._add("gatepost_connections_total", (one.client.listener, one.end), times)
        if one.end in _LIMITS:
            self._add("gatepost_limits_reached_total", (one.end,), times)
        self._answers(one.answers, times)

    def _transaction(self, one: TransactionExtract, times: int) -> None:
        self._add("gatepost_messages_total", (one.result,), times)
        if one.shadowed:
            self._add("gatepost_shadowed_messages_total", (), times)
        for recipient in one.recipients:
            self._add("gatepost_recipients_total", (recipient.result,), times)
        more = one.recipients_count - len(one.recipients)
        if more > 0:
            self._add("gatepost_recipients_total", (one.result,), more * times)
        if one.traps:
            self._traps(one, times)
        self._answers(one.answers, times)

    def _traps(self, one: TransactionExtract, times: int) -> None:
        trap_class = one.traps[0].trap_class or TrapClass.PRISTINE.value
        named = "yes" if users_of(one) else "no"
        labels = (trap_class, outcome_of(one).name.lower(), named, standing_of(one))
        self._add("gatepost_trap_messages_total", labels, times)
        for trap in one.traps:
            self._add("gatepost_trap_hits_total", (trap.list,), times)
        more = one.traps_count - len(one.traps)
        if more > 0:
            self._add("gatepost_trap_hits_total", (OTHER,), more * times)

    def _answers(self, answers: Sequence[AnswerExtract], times: int) -> None:
        for one in answers:
            name = "gatepost_shadow_replies_total" if one.shadow else "gatepost_replies_total"
            self._add(name, (_CLASSES[one.verdict], one.reason, one.by), times)

    # statuses

    def status(self, status: Status) -> None:
        """Take the status of a worker."""
        with self._lock:
            now = self._monotonic()
            self._totals.add(status, now)
            self._statuses[status.worker] = (now, status)
            self._drop_gone(now)

    def _drop_gone(self, now: float) -> None:
        gone = [number for number, (at, _) in self._statuses.items() if now - at > GONE]
        for number in gone:
            del self._statuses[number]

    @property
    def statuses(self) -> list[Status]:
        """The latest status of each worker, by its number."""
        with self._lock:
            self._drop_gone(self._monotonic())
            return [self._statuses[number][1] for number in sorted(self._statuses)]

    # results

    def families(self) -> list[Family]:
        """Return all metrics with their values at this moment."""
        statuses, now = self.statuses, self._clock()
        with self._lock:
            self._spread()
            found = [*self._counted(), *self._totals.families(), *self._totals.plugin_families()]
        return [*found, *gauges(statuses, self._version, now), *plugin_gauges(statuses)]

    def _counted(self) -> Iterator[Family]:
        for name, metric in COUNTED.items():
            if metric.kind == "counter":
                yield Family(name, metric, list(self._counts[name]) or _zero(len(metric.labels)))
            else:
                series = [(key, one.copy()) for key, one in self._distributions[name]]
                yield Family(name, metric, series)


def _zero(labels: int) -> list[tuple[tuple[str, ...], float]]:
    """Return the series of a counter before its first event: 0 if it has no labels."""
    return [] if labels else [((), 0.0)]
