"""Counts that decay exponentially, as plain counters of the store.

Theory of operation
-------------------
Instead of lowering old counts, later events count more: an event at the time t is added as
2 ** (t / half-life), and the count now is the sum divided by the weight of an event now. So a count
is one `incr`, which is atomic, and no time has to be stored.

The weights would grow without limit, so time is divided into epochs of LENGTH half-lives, each with
a counter of its own whose weights start from 1 again. In the second half of an epoch an event is
also added to the counter of the next one. So the counter of the current epoch is all that is read.
It lacks what is older than OVERLAP half-lives before the epoch: less than 1/16 of it is left.

Limits: a counter of the store stops at 2 ** 53, after 30 billion events of one point.
"""

from collections.abc import Iterator
from typing import NamedTuple

LENGTH = 8
OVERLAP = 4
# What an event of one point is at the start of an epoch. One at the start of the overlap is 1/16.
UNIT = 1024
# Entries of the store that expire next are replaced first, if it is full. An older entry
# therefore expires this much later, in seconds: a flood of new ones replaces itself.
_AGE = 3600


class Epoch(NamedTuple):
    """An epoch at a moment: its number, the weight of a point, and the ttl of a new counter."""

    number: int
    weight: float
    ttl: float


def current(now: float, half_life: float) -> Epoch:
    """Return the epoch of a time; both are in seconds."""
    length = LENGTH * half_life
    number = int(now // length)
    return _epoch(number, now, half_life)


def written(now: float, half_life: float) -> Iterator[Epoch]:
    """Yield the epochs to which an event now is added."""
    epoch = current(now, half_life)
    yield epoch
    start = epoch.number * LENGTH * half_life
    if now - start >= (LENGTH - OVERLAP) * half_life:
        yield _epoch(epoch.number + 1, now, half_life)


def _epoch(number: int, now: float, half_life: float) -> Epoch:
    length = LENGTH * half_life
    age = now - number * length
    weight = UNIT * 2.0 ** (age / half_life)
    return Epoch(number, weight, length - age + _AGE * (1 - age / length))
