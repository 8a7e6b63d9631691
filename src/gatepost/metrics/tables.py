"""Numbers by the values of labels, with limits.

Limits: MOST_VALUES of a label and MOST_SERIES of a metric. Further values count as OTHER, so that
no client can make the memory or the answer to a scrape grow. A value has at most MOST_CHARACTERS,
all of them printable.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final, Generic, TypeVar

from gatepost.log.printable import printable

MOST_VALUES: Final = 200
MOST_SERIES: Final = 2000
MOST_CHARACTERS: Final = 100
OTHER: Final = "other"

Values = tuple[str, ...]


def clean(value: str) -> str:
    """Return the value of a label as it is shown."""
    return printable(value[:MOST_CHARACTERS])[:MOST_CHARACTERS]


class Label:
    """The values that one label has had, by the value before it was cleaned."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def admit(self, value: str) -> str:
        """Return the value to count under."""
        found = self._values.get(value)
        if found is not None:
            return found
        if len(self._values) >= MOST_VALUES:
            return OTHER
        return self._values.setdefault(value, clean(value))


class Distribution:
    """The number of values up to each limit of `bounds`, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts: list[float] = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, values: Sequence[float]) -> None:
        """Add values."""
        for at, times in Counter(map(bisect_left, repeat(self.bounds), values)).items():
            self.counts[at] += times
        self.total += sum(values)

    def merge(self, counts: Sequence[float], total: float) -> None:
        """Add the values of another one with the same bounds."""
        for at, count in enumerate(counts):
            self.counts[at] += count
        self.total += total

    def copy(self) -> "Distribution":
        """Return a copy."""
        other = Distribution(self.bounds)
        other.merge(self.counts, self.total)
        return other


_Number = TypeVar("_Number", float, Distribution)


class _Table(Generic[_Number]):
    """Base: the series of one metric. `labels` is the number of its labels."""

    def __init__(self, labels: int) -> None:
        self._labels = tuple(Label() for _ in range(labels))
        self._series: dict[Values, _Number] = {}
        # The keys of values that were counted before, as long as there are few.
        self._keys: dict[Values, Values] = {}

    def _key(self, values: Values) -> Values:
        found = self._keys.get(values)
        if found is not None:
            return found
        key = self._new_key(values)
        if len(self._keys) < MOST_SERIES:
            self._keys[values] = key
        return key

    def _new_key(self, values: Values) -> Values:
        key = tuple([one.admit(value) for one, value in zip(self._labels, values, strict=True)])
        if key not in self._series and len(self._series) >= MOST_SERIES:
            return (OTHER,) * len(key)
        return key

    def __iter__(self) -> Iterator[tuple[Values, _Number]]:
        return iter(self._series.items())


class Counts(_Table[float]):
    """A counter."""

    def add(self, values: Values = (), by: float = 1) -> None:
        """Add to the number with these values of the labels."""
        key = self._key(values)
        self._series[key] = self._series.get(key, 0) + by


class Distributions(_Table[Distribution]):
    """A histogram with these bounds."""

    def __init__(self, labels: int, bounds: Sequence[float]) -> None:
        super().__init__(labels)
        self._bounds = bounds

    def at(self, values: Values = ()) -> Distribution:
        """Return the distribution with these values of the labels."""
        key = self._key(values)
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Distribution(self._bounds)
        return found
