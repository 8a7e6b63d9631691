"""When the next attempt is due."""

import random
from collections.abc import Callable, Sequence

# So that what failed together does not come back together.
SPREAD = 0.1


class Schedule:
    """The waits after each failed attempt, in seconds, the last of which is repeated.

    `chance` returns a number between its two arguments.
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
        """Return how long to wait after so many failures before the one that has just been."""
        wait = self._retry[min(failures, len(self._retry) - 1)]
        return wait * self._chance(1 - SPREAD, 1 + SPREAD)
