"""Totals of the ledger: how many of what in each hour, so that a report reads no records.

A dimension is a group of counts, for example "reason". Each record adds to some keys of some
dimensions (`Tally.add`), in the hour of its time. `prune` keeps the largest keys of a dimension and
adds the others to its rest: clients choose senders and recipients, so there is no other bound.

Limits: KEPT keys of a dimension in an hour that is over, KEPT_NOW in the current one. A key that
was dropped starts at zero again, so a count of a rare key can be too low. A dimension's counts and
its rest together are always exact.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import msgspec

from gatepost.ledger.keys import canonical_address, domain_of, network_of
from gatepost.ledger.records import (
    SERVER,
    Answer,
    Connection,
    Delivery,
    Gap,
    Notice,
    Record,
    Transaction,
    text,
)

HOUR = 3600
KEPT = 1000
KEPT_NOW = 5000
# The last hour that is counted, in the year 9999. A wrong clock must not make an endless hour.
_LAST = 253_402_297_200
# One petabyte: a larger number is damaged, and would hide the others.
_LARGEST = 10**15
# Who answers are from that are not plugins'.
Counts = dict[str, float]
Cell = tuple[int, str]
# A dimension, a key in it and a number to add.
Fact = tuple[str, str, float]


class Totals(msgspec.Struct):
    """Sums of full hours: `counts` by dimension and key, `rest` of the keys that were pruned.

    `since` and `until` are rounded to the hours that contain them.
    """

    since: float
    until: float
    counts: dict[str, dict[str, int]] = {}
    rest: dict[str, int] = {}


class Tally:
    """Counts by hour and dimension, of records that are not in the table `total` yet."""

    def __init__(self) -> None:
        self.cells: dict[Cell, Counts] = {}

    def add(self, record: Record) -> None:
        """Count a record."""
        hour = hour_of(record.time)
        cells = self.cells
        for dimension, key, number in _FACTS[type(record)](record):
            counts = cells.get((hour, dimension))
            if counts is None:
                counts = cells[hour, dimension] = {}
            counts[key] = counts.get(key, 0) + number


class Sum:
    """Adds up cells between two times; `totals` returns the result."""

    def __init__(self, since: float, until: float) -> None:
        self.since = hour_of(since)
        self.until = _end_of(until)
        self._counts: dict[str, Counts] = {}
        self._rest: Counts = {}

    def add(self, hour: int, dimension: str, counts: Mapping[str, float], rest: float) -> None:
        """Add the cell of an hour and a dimension, if the hour is in the period."""
        if self.since <= hour < self.until:
            add_to(self._counts.setdefault(dimension, {}), counts)
            if rest:
                add_to(self._rest, {dimension: rest})

    def totals(self) -> Totals:
        """Return the sums."""
        counts = {dimension: _rounded(found) for dimension, found in self._counts.items()}
        return Totals(self.since, self.until, counts, _rounded(self._rest))


class Pruned(NamedTuple):
    """The largest counts, and the sum of those that were dropped."""

    counts: Counts
    rest: float


def hour_of(time: float) -> int:
    """Return the start of an hour in seconds since 1970; a time that cannot be is 0."""
    return int(time // HOUR) * HOUR if isfinite(time) and 0 <= time <= _LAST else 0


def _end_of(time: float) -> int:
    """Return the end of the hour before or at which a period ends; 0 is no limit."""
    if not 0 < time <= _LAST:
        return _LAST + HOUR
    return -int(-time // HOUR) * HOUR


def add_to(counts: Counts, more: Mapping[str, float]) -> None:
    """Add counts to others."""
    for key, number in more.items():
        counts[key] = counts.get(key, 0) + number


def prune(counts: Counts, kept: int) -> Pruned:
    """Return the `kept` largest counts, and the sum of the others."""
    if len(counts) <= kept:
        return Pruned(counts, 0)
    # The key decides between equal numbers, so that the result does not depend on their order.
    largest = dict(heapq.nlargest(kept, counts.items(), key=lambda item: (item[1], item[0])))
    return Pruned(largest, sum(counts.values()) - sum(largest.values()))


def _rounded(counts: Mapping[str, float]) -> dict[str, int]:
    return {key: round(number) for key, number in counts.items()}


def _number(value: float) -> float:
    """Return a number that can be added up; what cannot be is 0."""
    return value if 0 <= value <= _LARGEST else 0


def _of_answers(answers: Sequence[Answer]) -> Iterator[Fact]:
    for answer in answers:
        if answer.verdict != "accept":
            yield (
                "shadow_reason" if answer.shadow else "reason",
                f"{answer.by} {answer.reason}",
                1,
            )
        if answer.by not in SERVER:
            yield "plugin", answer.by, 1
            yield "plugin_ms", answer.by, _number(answer.seconds) * 1000


def _of_connection(record: Connection) -> Iterator[Fact]:
    yield "end", record.end, 1
    yield "octets", "received", _number(record.received)
    yield "octets", "sent", _number(record.sent)
    yield from _of_answers(record.answers)


def _of_transaction(record: Transaction) -> Iterator[Fact]:
    result = record.result
    yield "result", result, 1
    yield "hour", f"{hour_of(record.time)} {result}", 1
    if record.shadowed:
        yield "result", "shadowed", 1
    if result == "accepted":
        yield "octets", "accepted", _number(record.size)
    yield from _of_envelope(record)
    yield from _of_answers(record.answers)
    for trap in record.traps:
        yield "trap", f"{trap.list}:{trap.line} {trap.entry}", 1


def _of_envelope(record: Transaction) -> Iterator[Fact]:
    sender = canonical_address(record.sender)
    is_refused = record.result == "refused"
    yield "sender", sender, 1
    if domain := domain_of(sender):
        yield "sender_domain", domain, 1
        if is_refused:
            yield "refused_sender_domain", domain, 1
    if network := network_of(record.client.address):
        yield "network", network, 1
        if is_refused:
            yield "refused_network", network, 1
    for recipient in record.recipients:
        address = canonical_address(recipient.address)
        yield "recipient_result", recipient.result, 1
        yield "recipient", address, 1
        if domain := domain_of(address):
            yield "recipient_domain", domain, 1


def _of_delivery(record: Delivery) -> Iterator[Fact]:
    yield "delivery", record.result, 1
    yield "destination", f"{record.result} {text(record.destination)}", 1


def _of_gap(record: Gap) -> Iterator[Fact]:
    yield "lost", record.cause, _number(record.count)


def _of_notice(_record: Notice) -> Iterator[Fact]:
    return iter(())


_FACTS: dict[type, Callable[[Any], Iterator[Fact]]] = {
    Connection: _of_connection,
    Transaction: _of_transaction,
    Delivery: _of_delivery,
    Gap: _of_gap,
    Notice: _of_notice,
}
