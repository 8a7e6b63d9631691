"""Records that wait for the disk: bounded by octets, the oldest are dropped first.

Extracts take several times the memory of the octets of a record, so records that wait for long are
kept without them.
"""

from typing import Final

from gatepost.ledger.kept import Kept, kept_of

# Minutes of a busy server, and little of its memory.
MAX_OCTETS: Final = 16 << 20
# What a record takes in memory in addition to its octets.
_OVERHEAD: Final = 48


class Buffer:
    """Records, the oldest first. `octets` is what they take in memory without extracts."""

    def __init__(self) -> None:
        self._waiting = Kept([], [], [])
        self._has_extracts = True
        self.octets = 0

    def __len__(self) -> int:
        return len(self._waiting.bodies)

    def add(self, kept: Kept) -> None:
        """Append records."""
        waiting = self._waiting
        waiting.bodies += kept.bodies
        if self._has_extracts:
            waiting.extracts += kept.extracts
            waiting.shapes += kept.shapes
        self.octets += _octets_of(kept.bodies)

    def first(self, count: int) -> Kept:
        """Return the oldest records, at most `count`."""
        waiting = self._waiting
        bodies = waiting.bodies[:count]
        if self._has_extracts:
            return Kept(bodies, waiting.extracts[:count], waiting.shapes[:count])
        return kept_of(bodies)

    def keep_octets(self) -> None:
        """Keep the records as octets only, until none is left."""
        self._waiting = Kept(self._waiting.bodies, [], [])
        self._has_extracts = False

    def remove(self, count: int) -> None:
        """Remove the oldest records."""
        waiting = self._waiting
        self.octets -= _octets_of(waiting.bodies[:count])
        for some in (waiting.bodies, waiting.extracts, waiting.shapes):
            del some[:count]
        if not waiting.bodies:
            self._has_extracts = True

    def drop(self) -> int:
        """Drop the oldest records until the limit holds; return how many."""
        count = 0
        left = self.octets
        while left > MAX_OCTETS:
            left -= len(self._waiting.bodies[count]) + _OVERHEAD
            count += 1
        if count:
            self.remove(count)
        return count


def _octets_of(bodies: list[bytes]) -> int:
    return sum(map(len, bodies)) + _OVERHEAD * len(bodies)
