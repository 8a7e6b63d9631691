"""A clock for tests and trials: waiting takes no time."""

import asyncio
from datetime import UTC, datetime


class VirtualClock:
    """A clock that stands still, except that each wait moves it on at once.

    `slept` has the waits so far, in seconds.
    """

    def __init__(self, now: str | datetime = "2024-01-01") -> None:
        moment = datetime.fromisoformat(now) if isinstance(now, str) else now
        self._time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        self.slept: list[float] = []

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._time

    async def sleep(self, seconds: float) -> None:
        """Move the clock on; other tasks that are ready run first."""
        self.slept.append(seconds)
        self._time += seconds
        await asyncio.sleep(0)
