"""Totals of the ledger: how many of what in each hour, so that a report reads no records.

A dimension is a group of counts, for example "reason". Each record adds to some keys of some
dimensions (`Tally.add`), in the hour of its time. `prune` keeps the largest keys of a dimension and
adds the others to its rest: clients choose senders and recipients, so there is no other bound.

Limits: KEPT keys of a dimension in an hour that is over, KEPT_NOW in the current one. A key that
was dropped starts at zero again, so a count of a rare key can be too low. A dimension's counts and
its rest together are always exact.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import msgspec

from gatepost.ledger.keys import host_of, mailbox_of
from gatepost.ledger.limits import text
from gatepost.ledger.records import (
    SERVER,
    Answer,
    Connection,
    Delivery,
    Gap,
    Notice,
    PluginResult,
    RecipientRecord,
    Record,
    Transaction,
)

HOUR = 3600
KEPT = 1000
KEPT_NOW = 5000
# The last hour that is counted, in the year 9999. A wrong clock must not make an endless hour.
_LAST = 253_402_297_200
# One petabyte: a larger number is damaged, and would hide the others.
_LARGEST = 10**15
Counts = dict[str, float]
Cell = tuple[int, str]
# The counts of an hour by dimension; reading a new key adds it.
Hour = defaultdict[str, defaultdict[str, float]]


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
        self._hours: dict[int, Hour] = {}

    def add(self, record: Record) -> None:
        """Count a record."""
        start = hour_of(record.time)
        hour = self._hours.get(start)
        if hour is None:
            hour = self._hours[start] = defaultdict(_counts)
        _ADD[type(record)](record, hour)

    def cells(self) -> Iterator[tuple[Cell, Counts]]:
        """Yield the counts of each hour and dimension."""
        for start, hour in self._hours.items():
            for dimension, counts in hour.items():
                yield (start, dimension), counts


def _counts() -> defaultdict[str, float]:
    return defaultdict(int)


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
    return Pruned(largest, sum(counts.values(), 0.0) - sum(largest.values(), 0.0))


def _rounded(counts: Mapping[str, float]) -> dict[str, int]:
    return {key: round(number) for key, number in counts.items()}


def _number(value: float) -> float:
    """Return a number that can be added up; what cannot be is 0."""
    return value if 0 <= value <= _LARGEST else 0


def _add_answers(answers: Sequence[Answer], hour: Hour) -> None:
    for answer in answers:
        if answer.verdict != "accept":
            dimension = "shadow_reason" if answer.shadow else "reason"
            hour[dimension][f"{answer.by} {answer.reason}"] += 1
        if answer.by not in SERVER:
            hour["plugin"][answer.by] += 1
            hour["plugin_ms"][answer.by] += _number(answer.seconds) * 1000


def _add_connection(record: Connection, hour: Hour) -> None:
    hour["end"][record.end] += 1
    octets = hour["octets"]
    octets["received"] += _number(record.received)
    octets["sent"] += _number(record.sent)
    if record.answers:
        _add_answers(record.answers, hour)


def _add_transaction(record: Transaction, hour: Hour) -> None:
    result = record.result
    hour["result"][result] += 1
    hour["hour"][f"{hour_of(record.time)} {result}"] += 1
    if record.shadowed:
        hour["result"]["shadowed"] += 1
    if result == "accepted":
        hour["octets"]["accepted"] += _number(record.size)
    _add_client_and_sender(record, hour)
    for recipient in record.recipients:
        _add_recipient(recipient, hour)
    if record.answers:
        _add_answers(record.answers, hour)
    if record.results:
        _add_results(record.results, hour)
    for trap in record.traps:
        hour["trap"][f"{trap.list}:{trap.line} {trap.entry}" if trap.line else trap.list] += 1


def _add_results(results: Sequence[PluginResult], hour: Hour) -> None:
    for one in results:
        if one.name == "dmarc" and one.facts.get("domain"):
            hour["dmarc"][f"{one.value} {text(str(one.facts['domain']))}"] += 1


def _add_client_and_sender(record: Transaction, hour: Hour) -> None:
    is_refused = record.result == "refused"
    sender, domain, _ = mailbox_of(record.sender)
    hour["sender"][sender] += 1
    if domain:
        hour["sender_domain"][domain] += 1
        if is_refused:
            hour["refused_sender_domain"][domain] += 1
    network = host_of(record.client.address).network
    if network:
        hour["network"][network] += 1
        if is_refused:
            hour["refused_network"][network] += 1


def _add_recipient(recipient: RecipientRecord, hour: Hour) -> None:
    address, domain, _ = mailbox_of(recipient.address)
    hour["recipient_result"][recipient.result] += 1
    hour["recipient"][address] += 1
    if domain:
        hour["recipient_domain"][domain] += 1


def _add_delivery(record: Delivery, hour: Hour) -> None:
    hour["delivery"][record.result] += 1
    hour["destination"][f"{record.result} {text(record.destination)}"] += 1


def _add_gap(record: Gap, hour: Hour) -> None:
    hour["lost"][record.cause] += _number(record.count)


def _add_notice(_record: Notice, _hour: Hour) -> None:
    """Count nothing."""


_ADD: dict[type, Callable[[Any, Hour], None]] = {
    Connection: _add_connection,
    Transaction: _add_transaction,
    Delivery: _add_delivery,
    Gap: _add_gap,
    Notice: _add_notice,
}
