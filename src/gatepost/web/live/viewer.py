"""One viewer of a feed: a bounded queue of events that wait to be sent.

Limits: EVENTS and OCTETS. An event that exceeds them is taken only if no other waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

EVENTS = 256
OCTETS = 1024 * 1024

T = TypeVar("T")


class Viewer(Generic[T]):
    """A viewer. `encode` returns the data of an event, "" if there is nothing for this viewer.

    Viewers with the same `group` get the same data, which is made once.
    """

    def __init__(self, group: Hashable, encode: Callable[[T], str]) -> None:
        self.group = group
        self.encode = encode
        self._waiting: deque[bytes] = deque()
        self._octets = 0
        self._wake = asyncio.Event()

    def put(self, event: bytes) -> bool:
        """Add an event; return whether there was room for it."""
        is_full = len(self._waiting) >= EVENTS or self._octets + len(event) > OCTETS
        if self._waiting and is_full:
            return False
        self._waiting.append(event)
        self._octets += len(event)
        self._wake.set()
        return True

    def replace(self, event: bytes) -> None:
        """Add an event instead of those that wait."""
        self._waiting.clear()
        self._octets = 0
        self.put(event)

    def wake(self) -> None:
        """End the wait for an event."""
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Wait until there is an event or `wake` is called, at most for some seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def take(self) -> bytes:
        """Return the next event, empty if none waits."""
        self._wake.clear()
        if not self._waiting:
            return b""
        event = self._waiting.popleft()
        self._octets -= len(event)
        if self._waiting:
            self._wake.set()
        return event
