"""The time of the next attempt, and the time limits of a message."""

import random
from collections.abc import Callable, Sequence

import msgspec

# Messages that failed together must not all be tried again together.
SPREAD = 0.1


class Schedule:
    """The waits in seconds after each failed attempt; the last one repeats.

    `chance` returns a random number between its two arguments.
    """

    def __init__(
        self,
        retry: Sequence[float],
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._retry = tuple(retry)
        self._chance = chance
        self.longest = max(retry) * (1 + SPREAD)

    def wait(self, failures: int) -> float:
        """Return the wait after a failed attempt that had `failures` failures before it."""
        wait = self._retry[min(failures, len(self._retry) - 1)]
        return wait * self._chance(1 - SPREAD, 1 + SPREAD)


class RetryPolicy(msgspec.Struct, frozen=True):
    """The limits of a message in the queue, in seconds, and the settings of its DSNs.

    `delay_notice` is 0 if senders get no delay DSN. `hostname` sends the DSNs. `subaddress`
    separates the user and the tag in the address of a sender.
    """

    hostname: str
    expire: float
    delay_notice: float
    subaddress: str

    @property
    def horizon(self) -> float:
        """The longest time until an event of a message."""
        return max(self.expire, self.delay_notice)
