"""What is on its way to which destination, and which destinations are left alone for a while.

A destination that has failed STRIKES times in a row, whatever the message, is dead: it is closed
for as long as the schedule says, then one message may go there. If that fails too it is closed for
longer; any answer opens it for all. So a dead host costs an attempt now and then, however much is
waiting for it, and messages behind it keep their place without being tried one by one.

The spool's threads ask `opens`, `room` and `rank`, which only read.

Limits: MAX_REMEMBERED destinations; who is forgotten is tried once more.
"""

from collections.abc import MutableMapping
from typing import NamedTuple, TypeVar

from gatepost.queue.schedule import Schedule

# One failure may be the message's or the mailbox's own fault.
STRIKES = 3
MAX_REMEMBERED = 10_000

V = TypeVar("V")


class _Closed(NamedTuple):
    failures: int
    opens: float


class DestinationThrottle:
    """Lets `total` deliveries pass at a time, `each` of them to one destination."""

    def __init__(self, schedule: Schedule, *, total: int, each: int) -> None:
        self._schedule = schedule
        self._total = total
        self._each = each
        self._turn = 0
        self._active: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._strikes: dict[str, int] = {}
        self._closed: dict[str, _Closed] = {}
        self.free = total

    def opens(self, destination: str) -> float:
        """Return before when the destination is left alone, 0 if it is not."""
        closed = self._closed.get(destination)
        return 0.0 if closed is None else closed.opens

    def room(self, destination: str, now: float) -> int:
        """Return how many more messages the destination may have."""
        active = self._active.get(destination, 0)
        closed = self._closed.get(destination)
        if closed is None:
            return self._each - active
        # an opening time that is too far away is from a clock that was wrong
        is_shut = now < closed.opens <= now + self._schedule.longest
        return 0 if is_shut else 1 - active

    def rank(self, destination: str) -> tuple[int, int]:
        """Return what sorts it: how much it has now, and when it had its turn last."""
        return self._active.get(destination, 0), self._turns.get(destination, 0)

    def enter(self, destination: str) -> None:
        """Take note of a delivery that begins."""
        self._turn += 1
        self.free -= 1
        self._active[destination] = self._active.get(destination, 0) + 1
        self._turns.pop(destination, None)
        _keep(self._turns, destination, self._turn)

    def leave(self, destination: str) -> None:
        """Take note of a delivery that has ended."""
        self.free += 1
        left = self._active.pop(destination) - 1
        if left:
            self._active[destination] = left

    def failed(self, destination: str, now: float) -> None:
        """Take note that nobody answered there."""
        closed = self._closed.get(destination)
        if closed is None:
            strikes = self._strikes.get(destination, 0) + 1
            _keep(self._strikes, destination, strikes)
            if strikes < STRIKES:
                return
        elif now < closed.opens:
            return  # it began before the others had failed
        failures = 0 if closed is None else closed.failures + 1
        opens = now + self._schedule.wait(failures)
        _keep(self._closed, destination, _Closed(failures, opens))

    def answered(self, destination: str) -> None:
        """Take note that somebody is there, whatever the answer."""
        self._strikes.pop(destination, None)
        self._closed.pop(destination, None)


def _keep(memory: MutableMapping[str, V], name: str, value: V) -> None:
    """Remember a value; the oldest gives way if there are too many."""
    if len(memory) >= MAX_REMEMBERED and name not in memory:
        del memory[next(iter(memory))]
    memory[name] = value
