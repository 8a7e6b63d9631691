"""Random draws that several actors need. Each actor has a generator of its own.

So another actor, or more work of one, does not change what the others do.
"""

from __future__ import annotations

import math
from random import Random
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAY = 86400.0
HOUR = 3600.0

T = TypeVar("T")


def generator(seed: int, name: str) -> Random:
    """Return the generator of an actor."""
    return Random(f"{seed}/{name}")


def arrivals(chance: Random, per_day: float, days: float, start: float = 0.0) -> Iterator[float]:
    """Yield the times of a Poisson process, in seconds; none if the rate is 0."""
    time = start
    while per_day > 0 and (time := time + chance.expovariate(per_day / DAY)) < days * DAY:
        yield time


def from_counts(chance: Random, counts: Mapping[int, int]) -> int:
    """Return a number as often as it was counted."""
    return chance.choices(tuple(counts), tuple(counts.values()))[0]


def zipf(chance: Random, items: Sequence[T]) -> T:
    """Return an item; the n-th is drawn about 1/n as often as the first."""
    rank = int(math.exp(chance.random() * math.log(len(items) + 1)))
    return items[min(rank, len(items)) - 1]


def sample(chance: Random, items: Sequence[T], number: int) -> list[T]:
    """Return distinct items, all if there are no more."""
    return chance.sample(items, min(number, len(items)))


def token(chance: Random, shortest: int, longest: int) -> str:
    """Return letters and digits."""
    return "".join(chance.choices(ascii_lowercase + digits, k=chance.randint(shortest, longest)))
