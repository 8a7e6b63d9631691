"""Connections to one next hop: as many as are allowed, kept for a while, used in turn.

A connection is one client's where the next hop is told who that is, otherwise anybody's (None).
When the limit is reached and none of the client's is idle, the one idle for longest is closed; when
none is idle at all, one waits, first come first served.

Limits: `connections` at a time, `messages_per_connection` on each, `idle_timeout` without use,
`connect_timeout` of waiting for one to be free.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.introduce import Introduced
from gatepost.delivery.smtp.link import GOODBYE, Link

Dial = Callable[[Introduced | None], Awaitable[Link]]


class Pool:
    """The connections to one next hop; `dial` opens one for a client, raising `NextHopError`."""

    def __init__(self, name: str, options: ClientConfig, dial: Dial) -> None:
        self._name = name
        self._options = options
        self._dial = dial
        self._idle: list[tuple[Introduced | None, float, Link]] = []  # idle for longest in front
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closing: set[Link] = set()
        self._open = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def unused(self) -> bool:
        """Whether there is no connection, and nobody waits for one."""
        return not self._open and not self._waiting

    async def acquire(self, client: Introduced | None = None, *, fresh: bool = False) -> Link:
        """Return a connection to use alone, a `fresh` one if asked for; raises `NextHopError`."""
        while True:
            link = None if fresh else self._take_idle(client)
            if link is not None:
                return link
            if self._open < self._options.connections:
                break
            if self._idle:
                self._dismiss(self._idle.pop(0)[2])
            else:
                await self._turn()
        self._open += 1
        try:
            return await self._dial(client)
        except BaseException:
            self._left()
            raise

    def release(self, link: Link, client: Introduced | None = None) -> None:
        """Take a connection back: it is kept if it is good for another message."""
        worn = link.messages >= self._options.messages_per_connection
        if self._stopped or worn or not link.usable or not self._options.idle_timeout:
            self._dismiss(link)
            return
        link.fresh = False
        now = asyncio.get_running_loop().time()
        self._idle.append((client, now, link))
        self._wake()
        if self._sweeper is None:
            self._schedule(self._options.idle_timeout)

    async def stop(self) -> None:
        """Close what is idle, and what is in use as it comes back."""
        self._stopped = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._idle:
            self._dismiss(self._idle.pop()[2])
        if self._closing:
            await asyncio.wait([link.gone for link in self._closing], timeout=GOODBYE)
        for link in tuple(self._closing):
            link.abort()

    def _take_idle(self, client: Introduced | None) -> Link | None:
        """Return the connection that this client used last, dropping those that have ended."""
        for at in range(len(self._idle) - 1, -1, -1):
            owner, _, link = self._idle[at]
            if owner == client:
                del self._idle[at]
                if link.usable:
                    return link
                self._dismiss(link)
        return None

    async def _turn(self) -> None:
        """Wait until a connection is free or gone; raises `NextHopError`."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._wake()  # it is the next one's turn
            if not isinstance(error, TimeoutError):
                raise
            limit = self._options.connections
            raise errors.busy(f"{self._name}: all {limit} connections are in use") from None

    def _dismiss(self, link: Link) -> None:
        if not link.gone.done():
            self._closing.add(link)
            link.gone.add_done_callback(lambda _: self._closing.discard(link))
        link.close()
        self._left()

    def _left(self) -> None:
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        """Let whoever has waited for longest look again."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _schedule(self, delay: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        """Close what was idle for too long; look again when the next will have been."""
        loop, patience = asyncio.get_running_loop(), self._options.idle_timeout
        while self._idle and self._idle[0][1] + patience <= loop.time():
            self._dismiss(self._idle.pop(0)[2])
        self._sweeper = None
        if self._idle:
            self._schedule(self._idle[0][1] + patience - loop.time())
