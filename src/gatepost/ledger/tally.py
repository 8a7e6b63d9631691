"""Count records by hour and dimension, before their numbers are added to the totals.

What records of a shape have in common is counted by shape. Addresses, networks, entries of traps
and numbers are counted for each record.

Limits: MOST shapes wait. Other keys are bounded by the records between two checkpoints.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Any, Final

from gatepost.ledger.extract import (
    AnswerExtract,
    ConnectionExtract,
    DeliveryExtract,
    Extract,
    GapExtract,
    NoticeExtract,
    TransactionExtract,
    TrapExtract,
)
from gatepost.ledger.hashes import Host, Mailbox, host_of, mailbox_of
from gatepost.ledger.limits import text
from gatepost.ledger.records import SERVER, Trap
from gatepost.ledger.shape import Shape, connections_of, transactions_of
from gatepost.ledger.totals import Cell, Counts, hour_of

# Shapes that are counted before they are spread.
MOST: Final = 200
# One petabyte: a larger number is damaged, and would hide the others.
_LARGEST: Final = 10**15

# The counts of an hour by dimension; reading a new key adds it.
Dimensions = defaultdict[str, defaultdict[str, float]]


class Tally:
    """Counts by hour and dimension, of records that are not in the table `total` yet."""

    def __init__(self) -> None:
        self._hours: dict[int, Hour] = {}

    def add(self, extracts: Sequence[Extract], shapes: Sequence[Shape]) -> None:
        """Count records; `shapes` has the shape of each."""
        times = [one.time for one in extracts]
        if not times:
            return
        first = hour_of(min(times))
        if first and first == hour_of(max(times)):  # 0 is also the hour of times that cannot be
            self._hour(first).add(extracts, shapes)
            return
        for extract, shape in zip(extracts, shapes, strict=True):
            self._hour(hour_of(extract.time)).add([extract], [shape])

    def _hour(self, start: int) -> "Hour":
        hour = self._hours.get(start)
        if hour is None:
            hour = self._hours[start] = Hour(start)
        return hour

    def cells(self) -> Iterator[tuple[Cell, Counts]]:
        """Yield the counts of each hour and dimension."""
        for start, hour in self._hours.items():
            for dimension, counts in hour.dimensions().items():
                yield (start, dimension), counts


class Hour:
    """The counts of the hour that begins at `start`."""

    __slots__ = (
        "_dimensions",
        "_hosts",
        "_recipients",
        "_refused_hosts",
        "_refused_senders",
        "_senders",
        "_shapes",
        "_start",
    )

    def __init__(self, start: int) -> None:
        self._start = start
        self._shapes: Counter[Shape] = Counter()
        self._senders: Counter[Mailbox] = Counter()
        self._refused_senders: Counter[Mailbox] = Counter()
        self._recipients: Counter[Mailbox] = Counter()
        self._hosts: Counter[Host] = Counter()
        self._refused_hosts: Counter[Host] = Counter()
        self._dimensions: Dimensions = defaultdict(_counts)

    def add(self, extracts: Sequence[Extract], shapes: Sequence[Shape]) -> None:
        """Count records of this hour."""
        self._shapes.update(shapes)
        if len(self._shapes) > MOST:
            self._spread_shapes()
        self._add_connections(connections_of(extracts, shapes))
        self._add_transactions(transactions_of(extracts, shapes))

    def _add_connections(self, some: list[ConnectionExtract]) -> None:
        if not some:
            return
        octets = self._dimensions["octets"]
        octets["received"] += sum([_number(one.received) for one in some])
        octets["sent"] += sum([_number(one.sent) for one in some])
        for one in some:
            if one.answers:
                self._add_times(one.answers)

    def _add_transactions(self, some: list[TransactionExtract]) -> None:
        senders = [mailbox_of(one.sender) for one in some]
        hosts = [host_of(one.client.address) for one in some]
        refused = [one.result == "refused" for one in some]
        self._senders.update(senders)
        self._refused_senders.update(compress(senders, refused))
        self._hosts.update(hosts)
        self._refused_hosts.update(compress(hosts, refused))
        self._recipients.update(
            [mailbox_of(recipient.address) for one in some for recipient in one.recipients]
        )
        accepted = [_number(one.size) for one in some if one.result == "accepted"]
        if accepted:
            self._dimensions["octets"]["accepted"] += sum(accepted)
        for one in some:
            if one.answers or one.traps or one.results:
                self._add_lists(one)

    def _add_lists(self, one: TransactionExtract) -> None:
        if one.answers:
            self._add_times(one.answers)
        if one.traps:
            self._add_traps(one)
        for result in one.results:
            if result.name == "dmarc" and result.facts.domain:
                domain = text(str(result.facts.domain))
                self._dimensions["dmarc"][f"{result.value} {domain}"] += 1

    def _add_traps(self, one: TransactionExtract) -> None:
        for trap in one.traps:
            self._dimensions["trap"][name_of(trap)] += 1
        network = host_of(one.client.address).network or one.client.address
        self._dimensions["trap_network"][text(network)] += len(one.traps)

    def _add_times(self, answers: Sequence[AnswerExtract]) -> None:
        for answer in answers:
            if answer.by not in SERVER:
                milliseconds = _number(answer.seconds) * 1000
                self._dimensions["plugin_ms"][answer.by] += milliseconds

    def dimensions(self) -> Dimensions:
        """Return the counts by dimension and key."""
        self._spread_shapes()
        self._spread_mailboxes(self._senders, "sender", "sender_domain")
        self._spread_mailboxes(self._refused_senders, "", "refused_sender_domain")
        self._spread_mailboxes(self._recipients, "recipient", "recipient_domain")
        self._spread_hosts(self._hosts, "network")
        self._spread_hosts(self._refused_hosts, "refused_network")
        return self._dimensions

    def _spread_shapes(self) -> None:
        for shape, times in self._shapes.items():
            example = shape.example
            _SPREAD[type(example)](example, times, self._dimensions, self._start)
        self._shapes.clear()

    def _spread_mailboxes(self, counted: Counter[Mailbox], whole: str, domain: str) -> None:
        for mailbox, times in counted.items():
            if whole:
                self._dimensions[whole][mailbox.address] += times
            if mailbox.domain:
                self._dimensions[domain][mailbox.domain] += times
        counted.clear()

    def _spread_hosts(self, counted: Counter[Host], dimension: str) -> None:
        for host, times in counted.items():
            if host.network:
                self._dimensions[dimension][host.network] += times
        counted.clear()


def name_of(trap: Trap | TrapExtract) -> str:
    """Return the key of a trap: its list, and the line and the entry if it has one."""
    return f"{trap.list}:{trap.line} {trap.entry}" if trap.line else trap.list


def _counts() -> defaultdict[str, float]:
    return defaultdict(int)


def _number(value: float) -> float:
    """Return a number that can be added up; what cannot be is 0."""
    return value if 0 <= value <= _LARGEST else 0


def _spread_connection(one: ConnectionExtract, times: int, hour: Dimensions, _: int) -> None:
    hour["end"][one.end] += times
    _spread_answers(one.answers, times, hour)


def _spread_transaction(one: TransactionExtract, times: int, hour: Dimensions, start: int) -> None:
    hour["result"][one.result] += times
    hour["hour"][f"{start} {one.result}"] += times
    if one.shadowed:
        hour["result"]["shadowed"] += times
    for recipient in one.recipients:
        hour["recipient_result"][recipient.result] += times
    _spread_answers(one.answers, times, hour)


def _spread_answers(answers: Iterable[AnswerExtract], times: int, hour: Dimensions) -> None:
    for answer in answers:
        if answer.verdict != "accept":
            dimension = "shadow_reason" if answer.shadow else "reason"
            hour[dimension][f"{answer.by} {answer.reason}"] += times
        if answer.by not in SERVER:
            hour["plugin"][answer.by] += times


def _spread_delivery(one: DeliveryExtract, times: int, hour: Dimensions, _: int) -> None:
    hour["delivery"][one.result] += times
    hour["destination"][f"{one.result} {text(one.destination)}"] += times


def _spread_gap(one: GapExtract, times: int, hour: Dimensions, _: int) -> None:
    hour["lost"][one.cause] += _number(one.count) * times


def _spread_notice(_one: NoticeExtract, _times: int, _hour: Dimensions, _start: int) -> None:
    """Count nothing."""


_SPREAD: Final[dict[type, Callable[[Any, int, Dimensions, int], None]]] = {
    ConnectionExtract: _spread_connection,
    TransactionExtract: _spread_transaction,
    DeliveryExtract: _spread_delivery,
    GapExtract: _spread_gap,
    NoticeExtract: _spread_notice,
}
