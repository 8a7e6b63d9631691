"""Totals of the ledger: how many of what in each hour, so that a report reads no records.

A dimension is a group of counts, for example "reason". Each record adds to some keys of some
dimensions (`tally`), in the hour of its time. `prune` keeps the largest keys of a dimension and
adds the others to its rest: clients choose senders and recipients, so there is no other bound.

Limits: KEPT keys of a dimension in an hour that is over, KEPT_NOW in the current one. A key that
was dropped starts at zero again, so a count of a rare key can be too low. A dimension's counts and
its rest together are always exact.
"""

import heapq
from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

import msgspec

HOUR = 3600
KEPT = 1000
KEPT_NOW = 5000
# The last hour that is counted, in the year 9999. A wrong clock must not make an endless hour.
_LAST = 253_402_297_200
Counts = dict[str, float]
Cell = tuple[int, str]


class Totals(msgspec.Struct):
    """Sums of full hours: `counts` by dimension and key, `rest` of the keys that were pruned.

    `since` and `until` are rounded to the hours that contain them.
    """

    since: float
    until: float
    counts: dict[str, dict[str, int]] = {}
    rest: dict[str, int] = {}


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
