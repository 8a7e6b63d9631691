"""Time, as plugins and sessions see it; a test can replace it (`gatepost.plugin.virtual_clock`)."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Protocol

_MINUTE = 60.0


class Clock(Protocol):
    """The current time, and waiting."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; other sessions continue."""
        ...

    async def wait_until(self, moment: float, *, spread: float = 0.0) -> None:
        """Wait until a time, in seconds since the epoch, and for a random part of `spread`."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def now(self) -> datetime:
        """Return the time as an aware datetime, UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait; other sessions continue."""
        await asyncio.sleep(seconds)

    async def wait_until(self, moment: float, *, spread: float = 0.0) -> None:
        """Wait until a time. The clock may be set meanwhile, so it is read once a minute."""
        moment += random.uniform(0, spread)  # noqa: S311 - no secret
        while (left := moment - self.time()) > 0:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(min(left, _MINUTE))
