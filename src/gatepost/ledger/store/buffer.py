"""Records that wait for the disk: bounded by octets, the oldest are dropped first."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

# Minutes of a busy server, and little of its memory.
MAX_OCTETS = 16 << 20
# What a record takes in memory in addition to its octets.
_OVERHEAD = 48


class Buffer:
    """Encoded records, the oldest first. `octets` is what they take in memory."""

    def __init__(self) -> None:
        self._records: deque[bytes] = deque()
        self.octets = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, records: Sequence[bytes]) -> None:
        """Append records."""
        self._records.extend(records)
        self.octets += sum(map(len, records)) + _OVERHEAD * len(records)

    def first(self, count: int) -> list[bytes]:
        """Return the oldest records, at most `count`."""
        return list(islice(self._records, count))

    def remove(self, count: int) -> None:
        """Remove the oldest records."""
        for _ in range(count):
            self.octets -= len(self._records.popleft()) + _OVERHEAD

    def drop(self) -> int:
        """Drop the oldest records until the limit holds; return how many."""
        before = len(self._records)
        while self.octets > MAX_OCTETS:
            self.remove(1)
        return before - len(self._records)
