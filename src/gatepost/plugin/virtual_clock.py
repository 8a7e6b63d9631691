"""A clock for tests and trials: waiting takes no time."""

import asyncio
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count

# Alarms of the same time ring in the order in which they were set.
_NUMBERS = count()


class VirtualClock:
    """A clock that stands still, except that each wait moves it on at once.

    `slept` has these waits so far, in seconds. `wait_until` does not move the clock: it waits until
    something else has.
    """

    def __init__(self, now: str | datetime = "2024-01-01") -> None:
        moment = datetime.fromisoformat(now) if isinstance(now, str) else now
        self._time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        self.slept: list[float] = []
        self._alarms: list[tuple[float, int, asyncio.Future[None]]] = []

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._time

    async def sleep(self, seconds: float) -> None:
        """Move the clock on; other tasks that are ready run first."""
        self.slept.append(seconds)
        self.move_to(self._time + seconds)
        await asyncio.sleep(0)

    async def wait_until(self, moment: float, *, spread: float = 0.0) -> None:
        """Wait until the clock has been moved to a time; there is no spread."""
        del spread
        if moment > self._time:
            alarm = asyncio.get_running_loop().create_future()
            heappush(self._alarms, (moment, next(_NUMBERS), alarm))
            await alarm

    @property
    def next_alarm(self) -> float | None:
        """The earliest time that something waits for, None without one."""
        while self._alarms and self._alarms[0][2].done():
            heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def move_to(self, moment: float) -> None:
        """Set the clock, but never back, and wake what has waited for that time."""
        self._time = max(self._time, moment)
        while (alarm := self.next_alarm) is not None and alarm <= self._time:
            heappop(self._alarms)[2].set_result(None)
