"""Time, as plugins and the session see it – so that a test can hand in a clock of its own."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, and waiting."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; nobody else is held up."""
        ...


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def now(self) -> datetime:
        """Return the time as an aware datetime, UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait; nobody else is held up."""
        await asyncio.sleep(seconds)
