"""Counters over all workers: a gauge, and events within a time window.

Theory of operation: `gatepost.counts.sketch` describes the tables, `gatepost.counts.memory` their
owners. A window has a fixed length and is the same for all workers. A table of an earlier window
counts as empty; its worker clears it at the next event. A limit of n per window therefore allows up
to 2 n events within the length of one window, around its end.

Both counters can be too high, never too low.
"""

from gatepost.counts.memory import CounterTable, Slot
from gatepost.counts.sketch import SIZE, Cell

_ZEROS = memoryview(bytes(SIZE * 4)).cast("I")


class Gauge:
    """The current number of items of a key. Each `add` requires a matching `remove`."""

    __slots__ = ("_own", "_slot", "_table")

    def __init__(self, slot: Slot, table: CounterTable) -> None:
        self._slot = slot
        self._table = int(table)
        self._own = slot.own.tables[table]

    def add(self, cell: Cell) -> int:
        """Count one more item; return the new total."""
        own, first, second = self._own, cell[0], cell[1]
        one, other = own[first] + 1, own[second] + 1
        own[first] = one
        own[second] = other
        mine = one if one < other else other  # noqa: FURB136 - `min` takes twice as long
        return mine + self._elsewhere(cell)

    def remove(self, cell: Cell) -> None:
        """Count one item less."""
        own, first, second = self._own, cell[0], cell[1]
        own[first] -= 1
        own[second] -= 1

    def count(self, cell: Cell) -> int:
        """Return the total over all workers."""
        return min(self._own[cell[0]], self._own[cell[1]]) + self._elsewhere(cell)

    def _elsewhere(self, cell: Cell) -> int:
        """Return the total over all other workers."""
        first, second = cell[0], cell[1]
        total = 0
        for sketch in self._slot.others:
            table = sketch.tables[self._table]
            one, other = table[first], table[second]
            total += one if one < other else other  # noqa: FURB136 - as above
        return total


class WindowCounter:
    """The number of events of a key in the current window of `seconds`.

    `now` is a monotonic time that is the same for all workers: that of the event loop.
    """

    __slots__ = ("_own", "_seconds", "_slot", "_table")

    def __init__(self, slot: Slot, table: CounterTable, seconds: int) -> None:
        self._slot = slot
        self._table = int(table)
        self._own = slot.own.tables[table]
        self._seconds = seconds

    def add(self, cell: Cell, now: float) -> int:
        """Count one more event; return the new total."""
        window = int(now) // self._seconds
        windows, own = self._slot.own.windows, self._own
        if windows[self._table] != window:
            own[:] = _ZEROS
            windows[self._table] = window
        first, second = cell[0], cell[1]
        # Conservative update: raise only the lower cell. The higher one also counts other keys.
        one, other = own[first], own[second]
        if one <= other:
            own[first] = one + 1
        if other <= one:
            own[second] = other + 1
        lower = one if one < other else other  # noqa: FURB136 - as above
        return lower + 1 + self._elsewhere(cell, window)

    def count(self, cell: Cell, now: float) -> int:
        """Return the number of events over all workers."""
        window, mine = int(now) // self._seconds, 0
        if self._slot.own.windows[self._table] >= window:
            mine = min(self._own[cell[0]], self._own[cell[1]])
        return mine + self._elsewhere(cell, window)

    def _elsewhere(self, cell: Cell, window: int) -> int:
        """Return the number of events over all other workers."""
        first, second = cell[0], cell[1]
        total = 0
        for sketch in self._slot.others:
            # The event loop of another worker may already be in the next window.
            if sketch.windows[self._table] >= window:
                table = sketch.tables[self._table]
                one, other = table[first], table[second]
                total += one if one < other else other  # noqa: FURB136 - as above
        return total
