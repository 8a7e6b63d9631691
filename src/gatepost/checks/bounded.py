"""Tables that drop their oldest entry, so that a log of any size fits into memory."""

from collections import OrderedDict
from collections.abc import Hashable, ItemsView
from typing import Generic, TypeVar

MOST = 200_000

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Bounded(Generic[_Key, _Value]):
    """A dictionary of at most `most` entries; the one that was not set for the longest goes."""

    def __init__(self, most: int = MOST) -> None:
        self._items: OrderedDict[_Key, _Value] = OrderedDict()
        self._most = most

    def get(self, key: _Key) -> _Value | None:
        """Return a value, or None."""
        return self._items.get(key)

    def set(self, key: _Key, value: _Value) -> None:
        """Set a value, which is the newest then."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._most:
            self._items.popitem(last=False)

    def items(self) -> ItemsView[_Key, _Value]:
        """Return the keys and values, the oldest first."""
        return self._items.items()

    def __contains__(self, key: _Key) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)


class Tally:
    """Counts by name; names beyond `most` are only counted together."""

    def __init__(self, most: int = MOST) -> None:
        self._counts: dict[str, int] = {}
        self._most = most
        self.others = 0

    def add(self, name: str) -> None:
        """Count a name."""
        if name in self._counts or len(self._counts) < self._most:
            self._counts[name] = self._counts.get(name, 0) + 1
        else:
            self.others += 1

    def top(self, count: int) -> list[tuple[str, int]]:
        """Return the most frequent names with their counts, ties by name."""
        return sorted(self._counts.items(), key=lambda one: (-one[1], one[0]))[:count]
