"""Open sessions and messages of an importer, bounded in number and in age.

An entry that nothing was added to for `idle` seconds of the log's time is over: the log had no line
for its end, or a line was lost. If there are too many, the one that is idle for the longest time is
dropped and counted.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

MOST_OPEN = 5_000

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class OpenTable(Generic[_Key, _Value]):
    """Open entries in the order of their last use.

    `ended` is called with the time and the value of an entry that is over because it is idle, or
    at the end of the log.
    """

    def __init__(
        self, ended: Callable[[float, _Value], None], idle: float, most: int = MOST_OPEN
    ) -> None:
        self._entries: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()
        self._ended = ended
        self._idle = idle
        self._most = most
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _Key, now: float) -> _Value | None:
        """Return an open entry, which is then the last one used, or None."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries[key] = now, found[1]
        self._entries.move_to_end(key)
        return found[1]

    def peek(self, key: _Key) -> _Value | None:
        """Return an open entry without using it."""
        found = self._entries.get(key)
        return found[1] if found else None

    def start(self, key: _Key, now: float, value: _Value) -> _Value:
        """Add an entry; an open one with the same key is over."""
        earlier = self.end(key)
        if earlier is not None:
            self._ended(now, earlier)
        self._entries[key] = now, value
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
            self.dropped += 1
        return value

    def end(self, key: _Key) -> _Value | None:
        """Remove an entry and return it, or None; `ended` is not called."""
        found = self._entries.pop(key, None)
        return found[1] if found else None

    def expire(self, now: float) -> None:
        """End what was idle for too long."""
        while self._entries:
            key, (last, value) = next(iter(self._entries.items()))
            if now - last <= self._idle:
                return
            del self._entries[key]
            self._ended(last, value)

    def finish(self) -> None:
        """End everything."""
        for last, value in self._drained():
            self._ended(last, value)

    def _drained(self) -> Iterator[tuple[float, _Value]]:
        while self._entries:
            yield self._entries.popitem(last=False)[1]
