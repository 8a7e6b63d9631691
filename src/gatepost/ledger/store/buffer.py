"""Records that wait for the disk: bounded by octets, the oldest are dropped first.

A decoded record takes several times the memory of its octets, so those that wait for long are kept
without it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from gatepost.ledger.records import Kept, Record, decode

# Minutes of a busy server, and little of its memory.
MAX_OCTETS = 16 << 20
# What a record takes in memory in addition to its octets.
_OVERHEAD = 48


Waiting = tuple[bytes, Record | None]


class Buffer:
    """Records, the oldest first. `octets` is what they take in memory without `Record`s."""

    def __init__(self) -> None:
        self._records: deque[Waiting] = deque()
        self.octets = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, kept: Sequence[Kept], *, decoded: bool = True) -> None:
        """Append records."""
        self._records.extend(kept if decoded else _octets_of(kept))
        self.octets += sum([len(body) + _OVERHEAD for body, _ in kept])

    def first(self, count: int) -> list[Kept]:
        """Return the oldest records, at most `count`."""
        found = islice(self._records, count)
        return [(body, decode(body) if record is None else record) for body, record in found]

    def keep_octets(self) -> None:
        """Keep the records as octets only."""
        self._records = deque(_octets_of(self._records))

    def remove(self, count: int) -> None:
        """Remove the oldest records."""
        for _ in range(count):
            body, _ = self._records.popleft()
            self.octets -= len(body) + _OVERHEAD

    def drop(self) -> int:
        """Drop the oldest records until the limit holds; return how many."""
        before = len(self._records)
        while self.octets > MAX_OCTETS:
            self.remove(1)
        return before - len(self._records)


def _octets_of(records: Iterable[Waiting]) -> Iterator[Waiting]:
    return ((body, None) for body, _ in records)
