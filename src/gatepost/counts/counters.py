"""Counters over all workers: how many there are now, and how many there were in a window of time.

Theory of operation: see `gatepost.counts.sketch` for the tables and `gatepost.counts.memory` for
whose they are. A window is a stretch of fixed length, the same for all workers: a region whose
table is about an earlier one counts as empty, and its worker clears it when it next counts there.
So a limit of n in a window lets 2 n through in the time of one at most, around its end.

Both count too high sometimes, never too low.
"""

from gatepost.counts.memory import CounterTable, Slot
from gatepost.counts.sketch import SIZE, Cell

_NOTHING = memoryview(bytes(SIZE * 4)).cast("I")


class Gauge:
    """How many there are of a key at present. Whatever is added must be taken away again."""

    __slots__ = ("_own", "_slot", "_table")

    def __init__(self, slot: Slot, table: CounterTable) -> None:
        self._slot = slot
        self._table = int(table)
        self._own = slot.own.tables[table]

    def add(self, cell: Cell) -> int:
        """Count one more; return how many there are, this one included."""
        own, (first, second) = self._own, cell
        own[first] += 1
        own[second] += 1
        return self.count(cell)

    def remove(self, cell: Cell) -> None:
        """Count one less."""
        own, (first, second) = self._own, cell
        own[first] -= 1
        own[second] -= 1

    def count(self, cell: Cell) -> int:
        """Return how many there are."""
        first, second = cell
        total = 0
        for sketch in self._slot.sketches:
            table = sketch.tables[self._table]
            one, other = table[first], table[second]
            total += one if one < other else other  # noqa: FURB136 - `min` takes twice as long
        return total


class WindowCounter:
    """How many events of a key there were in the present window of `seconds`.

    `now` is a time that runs evenly and is the same for all workers: that of the event loop.
    """

    __slots__ = ("_own", "_seconds", "_slot", "_table")

    def __init__(self, slot: Slot, table: CounterTable, seconds: int) -> None:
        self._slot = slot
        self._table = int(table)
        self._own = slot.own.tables[table]
        self._seconds = seconds

    def add(self, cell: Cell, now: float) -> int:
        """Count one more; return how many there were, this one included."""
        window = int(now) // self._seconds
        windows, own = self._slot.own.windows, self._own
        if windows[self._table] != window:
            own[:] = _NOTHING
            windows[self._table] = window
        first, second = cell
        # Only what is too low for the key is raised: the other row counts somebody else's already.
        one, other = own[first], own[second]
        if one <= other:
            own[first] = one + 1
        if other <= one:
            own[second] = other + 1
        return self.count(cell, now)

    def count(self, cell: Cell, now: float) -> int:
        """Return how many there were."""
        first, second = cell
        window = int(now) // self._seconds
        total = 0
        for sketch in self._slot.sketches:
            # Another worker's clock may be ahead by what its event loop's is behind.
            if sketch.windows[self._table] >= window:
                table = sketch.tables[self._table]
                one, other = table[first], table[second]
                total += one if one < other else other  # noqa: FURB136 - as above
        return total
