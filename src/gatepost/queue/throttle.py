"""The active deliveries per destination, and the destinations that are suspended.

A destination is suspended after FAILURES failed attempts in a row, of any messages. After the wait
of the retry schedule, one message probes it. If that fails, the next wait is longer. Any answer
ends the suspension. So a dead host costs one attempt now and then, however many messages wait for
it. Those messages keep their place and are not tried one by one.

The spool's threads call `suspended_until`, `room` and `rank`, which only read.

Limits: MAX_REMEMBERED destinations. A destination that was dropped from memory is tried once more.
"""

from collections.abc import MutableMapping
from typing import NamedTuple, TypeVar

from gatepost.queue.schedule import Schedule

# A single failure may be caused by the message or the mailbox.
FAILURES = 3
MAX_REMEMBERED = 10_000

V = TypeVar("V")


class _Suspension(NamedTuple):
    failed_probes: int
    until: float


class DestinationThrottle:
    """Permits `total` deliveries at the same time, `each` of them to one destination."""

    def __init__(self, schedule: Schedule, *, total: int, each: int) -> None:
        self._schedule = schedule
        self._each = each
        self._turn = 0
        self._active: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._suspensions: dict[str, _Suspension] = {}
        self.free = total

    def suspended_until(self, destination: str) -> float:
        """Return the end of the suspension, 0 if the destination is not suspended."""
        suspension = self._suspensions.get(destination)
        return 0.0 if suspension is None else suspension.until

    def room(self, destination: str, now: float) -> int:
        """Return the number of deliveries that may start."""
        active = self._active.get(destination, 0)
        suspension = self._suspensions.get(destination)
        if suspension is None:
            return self._each - active
        # an end that is too far away comes from a wrong clock
        is_suspended = now < suspension.until <= now + self._schedule.longest
        return 0 if is_suspended else 1 - active

    def rank(self, destination: str) -> tuple[int, int]:
        """Return the sort key: the active deliveries, then the turn of the last start."""
        return self._active.get(destination, 0), self._turns.get(destination, 0)

    def enter(self, destination: str) -> None:
        """Count a delivery that starts."""
        self._turn += 1
        self.free -= 1
        self._active[destination] = self._active.get(destination, 0) + 1
        self._turns.pop(destination, None)
        _remember(self._turns, destination, self._turn)

    def leave(self, destination: str) -> None:
        """Count a delivery that has ended."""
        self.free += 1
        left = self._active.pop(destination) - 1
        if left:
            self._active[destination] = left

    def failed(self, destination: str, now: float) -> None:
        """Count an attempt without an answer; suspend the destination if there were several."""
        suspension = self._suspensions.get(destination)
        if suspension is None:
            failures = self._failures.get(destination, 0) + 1
            _remember(self._failures, destination, failures)
            if failures < FAILURES:
                return
        elif now < suspension.until:
            return  # the attempt began before the suspension
        failed_probes = 0 if suspension is None else suspension.failed_probes + 1
        until = now + self._schedule.wait(failed_probes)
        _remember(self._suspensions, destination, _Suspension(failed_probes, until))

    def answered(self, destination: str) -> None:
        """End the suspension of a destination, and reset its failures."""
        self._failures.pop(destination, None)
        self._suspensions.pop(destination, None)


def _remember(memory: MutableMapping[str, V], name: str, value: V) -> None:
    """Store a value; drop the oldest if there are too many."""
    if len(memory) >= MAX_REMEMBERED and name not in memory:
        del memory[next(iter(memory))]
    memory[name] = value
