"""All figures of a server: counted from its records, and from the statuses of its workers.

The ledger process calls `record` and `status`; a scrape reads `families` in another thread.
Counters never decrease. A worker that has sent no status for GONE seconds has no gauges any more.

Text of clients never becomes a label. Reasons and destinations can be chosen by plugins and users,
so their number is limited (`gatepost.metrics.tables`).

Limits: a record lists at most 100 recipients, traps and decisions. Further recipients count with
the result of the message, further traps under the list "other", further decisions not at all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Final

from gatepost._version import __version__
from gatepost.config.schema import LimitsConfig
from gatepost.ledger.records import (
    Answer,
    Connection,
    Delivery,
    Gap,
    Notice,
    Record,
    Transaction,
)
from gatepost.ledger.trap_outcome import judge
from gatepost.metrics.families import COUNTED, Family
from gatepost.metrics.gauges import gauges, plugin_gauges
from gatepost.metrics.status import Status
from gatepost.metrics.tables import OTHER, Counts, Distributions, Values
from gatepost.metrics.totals import Totals
from gatepost.traps.verdicts import TrapClass

GONE: Final = 30.0

_LIMITS: Final = frozenset(LimitsConfig.__struct_fields__)
_CLASSES: Final = {"accept": "2xx", "deny": "5xx", "defer": "4xx"}


_KINDS: Final[dict[type[Record], Values]] = {
    one: (one.__name__.lower(),) for one in (Connection, Transaction, Delivery, Notice, Gap)
}


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
        """Count a record."""
        with self._lock:
            self._add("gatepost_ledger_records_total", _KINDS[type(record)])
            match record:
                case Connection():
                    self._connection(record)
                case Transaction():
                    self._transaction(record)
                case Delivery():
                    self._add("gatepost_deliveries_total", (record.destination, record.result))
                case Notice():
                    self._add("gatepost_notices_total", (record.name,))
                case Gap():
                    self._add("gatepost_ledger_lost_total", (record.cause,), max(0, record.count))

    def _add(self, name: str, values: Values = (), by: float = 1) -> None:
        self._counts[name].add(values, by)

    def _connection(self, record: Connection) -> None:
        self._add("gatepost_connections_total", (record.client.listener, record.end))
        self._add("gatepost_received_octets_total", by=max(0, record.received))
        self._add("gatepost_sent_octets_total", by=max(0, record.sent))
        self._add("gatepost_refused_commands_total", by=max(0, record.faults))
        if record.end in _LIMITS:
            self._add("gatepost_limits_reached_total", (record.end,))
        self._answers(record.answers)

    def _transaction(self, record: Transaction) -> None:
        self._add("gatepost_messages_total", (record.result,))
        if record.shadowed:
            self._add("gatepost_shadowed_messages_total")
        self._observe("gatepost_transaction_seconds", record.seconds)
        if record.size > 0:
            self._observe("gatepost_message_octets", record.size)
        for recipient in record.recipients:
            self._add("gatepost_recipients_total", (recipient.result,))
        more = record.recipients_count - len(record.recipients)
        if more > 0:
            self._add("gatepost_recipients_total", (record.result,), more)
        self._traps(record)
        self._answers(record.answers)

    def _traps(self, record: Transaction) -> None:
        if not record.traps:
            return
        found = judge(record, threshold=0.0)
        trap_class = record.traps[0].trap_class or TrapClass.PRISTINE.value
        named = "yes" if found.users else "no"
        outcome = found.outcome.name.lower()
        labels = (trap_class, outcome, named, found.standing)
        self._add("gatepost_trap_messages_total", labels)
        for trap in record.traps:
            self._add("gatepost_trap_hits_total", (trap.list,))
        more = record.traps_count - len(record.traps)
        if more > 0:
            self._add("gatepost_trap_hits_total", (OTHER,), more)

    def _answers(self, answers: Sequence[Answer]) -> None:
        for one in answers:
            name = "gatepost_shadow_replies_total" if one.shadow else "gatepost_replies_total"
            self._add(name, (_CLASSES[one.verdict], one.reason, one.by))

    def _observe(self, name: str, value: float) -> None:
        if 0 <= value < float("inf"):
            self._distributions[name].at().observe(value)

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
