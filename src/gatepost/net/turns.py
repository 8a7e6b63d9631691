"""Fair shares of the event loop for connections with much to do.

Theory of operation
-------------------
A connection handles at most TURN of what it has received and then queues here for its next turn.
The queue runs in rounds: one callback of the event loop takes turns until ROUND is used up. Between
rounds the event loop serves all other sockets. So an idle client's command waits for one round at
most, however many connections are busy. Reading from a socket stops while its connection is queued.

Costs are in octets. What costs more than its octets – a command, a TLS record – counts as a fixed
number of octets.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

# The octets that one connection handles before others have their turn.
TURN: Final = 16 * 1024
# The octets that all queued connections handle before the event loop polls its sockets again.
ROUND: Final = 4 * TURN


class Worker(Protocol):
    """Has work for more than one turn."""

    def turn(self) -> int:
        """Do up to TURN of it, queue again if there is more, and return the cost."""


class Turns:
    """The queue of one event loop; `count` grows with every turn, which shows that it is alive."""

    __slots__ = ("_handle", "_loop", "_queue", "count")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[Worker] = deque()
        self._handle: asyncio.Handle | None = None
        self.count = 0

    @property
    def waiting(self) -> bool:
        """Return whether others wait for their turn."""
        return bool(self._queue)

    def add(self, worker: Worker) -> None:
        """Queue for a turn."""
        self._queue.append(worker)
        if self._handle is None:
            self._handle = self._loop.call_soon(self._run)

    def _run(self) -> None:
        """Run one round."""
        queue, left = self._queue, ROUND
        for _ in range(len(queue)):
            self.count += 1
            left -= queue.popleft().turn()
            if left <= 0:
                break
        self._handle = self._loop.call_soon(self._run) if queue else None
