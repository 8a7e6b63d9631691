"""The connections to one next hop: limited in number, kept for a while, and reused.

A connection belongs to one client if the client's identity is forwarded, otherwise to all (None).
If the limit is reached and the client has no idle connection, the connection that is idle longest
is closed. If none is idle, deliveries wait in the order in which they came.

Limits: `connections` at once, `messages_per_connection` on each, `idle_timeout` without use,
`connect_timeout` for the wait for a free one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.forward import ForwardedClient
from gatepost.delivery.smtp.connection.link import QUIT_TIMEOUT, Link

Dial = Callable[[ForwardedClient | None], Awaitable[Link]]


class ConnectionPool:
    """The connections to one next hop; `dial` opens one for a client or raises `NextHopError`."""

    def __init__(self, name: str, options: ClientConfig, dial: Dial) -> None:
        self._name = name
        self._options = options
        self._dial = dial
        self._idle: list[tuple[ForwardedClient | None, float, Link]] = []  # the longest idle first
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closing: set[Link] = set()
        self._open = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def unused(self) -> bool:
        """Return whether no connection is open, and no delivery waits for one."""
        return not self._open and not self._waiting

    async def acquire(self, client: ForwardedClient | None = None, *, fresh: bool = False) -> Link:
        """Return a connection for exclusive use, with `fresh` a new one; raise `NextHopError`."""
        while True:
            link = None if fresh else self.take_idle(client)
            if link is not None:
                return link
            if self._open < self._options.connections:
                break
            if self._idle:
                self._close(self._idle.pop(0)[2])
            else:
                await self._wait_for_turn()
        self._open += 1
        try:
            return await self._dial(client)
        except BaseException:
            self._closed_one()
            raise

    def release(self, link: Link, client: ForwardedClient | None = None) -> None:
        """Take a connection back, and keep it if it can be used for another message."""
        worn = link.spent or link.messages >= self._options.messages_per_connection
        if self._stopped or worn or not link.usable or not self._options.idle_timeout:
            self._close(link)
            return
        link.fresh = False
        now = asyncio.get_running_loop().time()
        self._idle.append((client, now, link))
        self._wake_next()
        if self._sweeper is None:
            self._schedule(self._options.idle_timeout)

    async def stop(self) -> None:
        """Close idle connections now, and the others when they are released."""
        self._stopped = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._idle:
            self._close(self._idle.pop()[2])
        if self._closing:
            await asyncio.wait([link.closed for link in self._closing], timeout=QUIT_TIMEOUT)
        for link in tuple(self._closing):
            link.abort()

    def take_idle(self, client: ForwardedClient | None) -> Link | None:
        """Return the idle connection that this client used last, None without one.

        Connections that have ended are dropped.
        """
        for at in range(len(self._idle) - 1, -1, -1):
            owner, _, link = self._idle[at]
            if owner == client:
                del self._idle[at]
                if link.usable:
                    return link
                self._close(link)
        return None

    async def _wait_for_turn(self) -> None:
        """Wait until a connection is idle or closed; raise `NextHopError`."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._wake_next()  # pass the turn on
            if not isinstance(error, TimeoutError):
                raise
            limit = self._options.connections
            raise errors.busy(f"{self._name}: all {limit} connections are in use") from None

    def _close(self, link: Link) -> None:
        if not link.closed.done():
            self._closing.add(link)
            link.closed.add_done_callback(lambda _: self._closing.discard(link))
        link.close()
        self._closed_one()

    def _closed_one(self) -> None:
        self._open -= 1
        self._wake_next()

    def _wake_next(self) -> None:
        """Wake the delivery that has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _schedule(self, delay: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        """Close connections that were idle too long; schedule the next sweep."""
        loop, limit = asyncio.get_running_loop(), self._options.idle_timeout
        while self._idle and self._idle[0][1] + limit <= loop.time():
            self._close(self._idle.pop(0)[2])
        self._sweeper = None
        if self._idle:
            self._schedule(self._idle[0][1] + limit - loop.time())
