"""The order in which deliveries of a target use the disk.

Theory of operation
-------------------
SLOTS deliveries use the disk at the same time; the others wait, in two lines: the first message of
a connection, and all further ones. A slot that becomes free is for the lines in turn. So a client
that sends its first message waits for a few others, however many messages busy clients send.

Limits: the order is that of one target in one worker. Clients with many connections and one message
on each have no advantage over each other.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# More threads than this only wait for each other: for the disk and for the interpreter.
SLOTS = 8


class DiskOrder:
    """Admits deliveries to the disk."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._free = slots
        self._lines: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())
        self._next = 0

    @asynccontextmanager
    async def slot(self, *, first: bool) -> AsyncIterator[None]:
        """Have a slot for a while; `first` is for the first message of a connection."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(self._lines[0 if first else 1])
        try:
            yield
        finally:
            self._release()

    async def _wait(self, line: deque[asyncio.Future[None]]) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # it was admitted at the same time
            raise

    def _release(self) -> None:
        """Hand the slot over to the next line that has a delivery waiting."""
        for _ in self._lines:
            line = self._lines[self._next]
            self._next = (self._next + 1) % len(self._lines)
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
