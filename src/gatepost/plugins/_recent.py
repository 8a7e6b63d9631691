"""Values that a worker has read from the store a moment ago, so that it need not read them again.

Mail of one sender comes in bursts. A value that is some seconds old is as good as a new one for the
plugins about traps; what this worker writes itself replaces it at once.

Limits: MOST values of a kind; the oldest is dropped. Another worker's change is seen when a value
is over.
"""

from typing import Generic, TypeVar

MOST = 10_000

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by key, each for `seconds` after it was put."""

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._values: dict[str, tuple[float, T]] = {}

    def get(self, key: str, now: float) -> T | None:
        """Return a value, None if there is none or it is too old."""
        found = self._values.get(key)
        return found[1] if found is not None and 0 <= now - found[0] < self._seconds else None

    def put(self, key: str, value: T, now: float) -> None:
        """Keep a value; a clock that goes back makes it too old."""
        self._values.pop(key, None)
        self._values[key] = now, value
        if len(self._values) > self._most:
            del self._values[next(iter(self._values))]

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()
