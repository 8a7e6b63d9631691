"""Rates as an administrator writes them: "100/1h", for octets "50MiB/1d".

A rate is a number of at least 1, "/", and a duration with its number and unit, from 1s to 366d.
"""

from functools import lru_cache
from typing import NamedTuple

from gatepost import Duration, Size

_LONGEST = 366 * 86_400.0


class Rate(NamedTuple):
    """So many in so many seconds."""

    most: int
    seconds: float

    @property
    def per_second(self) -> float:
        """The number in one second."""
        return self.most / self.seconds


@lru_cache(1000)
def parse_rate(text: str, *, octets: bool = False) -> Rate:
    """Return a rate; raises ValueError."""
    number, slash, period = text.partition("/")
    try:
        most = int(Size(number)) if octets else _whole(number)
        seconds = float(Duration(period))
    except ValueError:
        most, seconds = 0, 0.0
    if not (slash and 1 <= most <= 10**12 and 1 <= seconds <= _LONGEST):
        example = "50MiB/1d" if octets else "100/1h"
        raise ValueError(f'expected a rate such as "{example}", found "{text[:80]}"')
    return Rate(most, seconds)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text[:20])
