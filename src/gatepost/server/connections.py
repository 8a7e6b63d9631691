"""All connections of one process: who may come in, who has been silent for too long."""

import asyncio
import os
from collections.abc import Awaitable
from itertools import count
from typing import TYPE_CHECKING

import structlog

from gatepost.auth.auth_limiter import AuthLimiter
from gatepost.config.schema import Smtp
from gatepost.counts.memory import Slot
from gatepost.model.reply import Reply
from gatepost.server.limits import ConnectionLimiter
from gatepost.session import replies as r
from gatepost.session.setup import Setup
from gatepost.wire.smtp.path import LENIENT, STRICT
from gatepost.wire.smtp.server import WireLimits

if TYPE_CHECKING:
    from gatepost.server.connection import Connection
    from gatepost.server.proxy import ProxyHandshake

# How often silent connections are looked for, in seconds.
SWEEP = 1.0

_SMTP = Smtp()

_log = structlog.get_logger("gatepost.server")


class Connections:
    """Connections and what they share; `expected` are those that have to say first whose they are.

    `now` is the event loop's time, at most SWEEP seconds old: good enough for time-outs and free
    to read. `seat` is where connections are counted, None where no other worker has to see that.
    """

    def __init__(self, setup: Setup, smtp: Smtp = _SMTP, *, slot: Slot | None = None) -> None:
        limits = setup.limits
        self.setup = setup
        self.wire_limits = WireLimits(
            limits.command_line,
            limits.message_size,
            synchronised=smtp.unauthorised_pipelining == "refuse",
        )
        self.paths = LENIENT if smtp.lenient_paths else STRICT
        self.greeting_delay = smtp.greeting_delay
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()
        self.draining = False
        # Counts progress for the watchdog of a worker process.
        self.turns = 0
        self.connections: set[Connection] = set()
        self.expected: set[ProxyHandshake] = set()
        slot = slot or Slot.alone()
        self._limiter = ConnectionLimiter(limits, slot)
        self.attempts = AuthLimiter(limits, slot, self._limiter.origin, setup.clock.time)
        self._refused = 0
        self._refused_last = ("", "")
        self._tasks: set[asyncio.Future[None]] = set()
        self._empty = asyncio.Event()
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)
        self._sweeper = self.loop.call_later(SWEEP, self._sweep)

    def next_id(self) -> str:
        """Return a name for a session that no other session has."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def admit(self, connection: "Connection") -> Reply | None:
        """Take note of a connection; return the refusal if there are too many."""
        self.connections.add(connection)
        origin = None if connection.trusted else self._limiter.origin(connection.host)
        connection.origin = origin
        beyond = "" if origin is None else self._limiter.enter(origin, self.now)
        if self.draining:
            return r.SHUTTING_DOWN
        if len(self.connections) > self.setup.limits.connections:
            beyond = "connections"
        if not beyond:
            return None
        self._refused += 1
        self._refused_last = (connection.host, beyond)
        return r.TOO_MANY_CONNECTIONS

    def expect(self, handshake: "ProxyHandshake") -> bool:
        """Take note of a connection that has to say whose it is; return False if it has no place.

        Hosts are not counted here: it comes from a proxy, which brings many.
        """
        if len(self.connections) + len(self.expected) >= self.setup.limits.connections:
            return False
        self.expected.add(handshake)
        return True

    def readmit(self, connection: "Connection", host: str) -> Reply | None:
        """Take note that a connection is another host's; return the refusal if it has too many."""
        if self.draining:
            return r.SHUTTING_DOWN
        self.forget(connection)
        connection.host = host
        return self.admit(connection)

    def forget(self, connection: "Connection") -> None:
        """Take note that a connection is gone."""
        self.connections.discard(connection)
        origin = connection.origin
        if origin is not None:
            self._limiter.leave(origin)
            connection.origin = None
        if not self.connections:
            self._empty.set()

    def spawn(self, work: Awaitable[None]) -> None:
        """See work to its end that no connection waits for any more."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _sweep(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP, self._sweep)
        self.now = self.loop.time()
        self.turns += 1
        for connection in tuple(self.connections):
            connection.sweep(self.now)
        for handshake in tuple(self.expected):
            handshake.sweep(self.now)
        self._report_refused()
        self._measure()

    def _measure(self) -> None:
        """See whether there is room for more content.

        It is added up anew each time, once a second: nothing has to be given back, and no message
        costs more for it. Until the next time a worker can take no more than its connections send.
        """
        memory = files = 0
        for connection in self.connections:
            message = connection.message
            if message is not None and message.in_file:
                files += message.size
            elif message is not None:
                memory += message.size
        limits, full = self.setup.limits, self.setup.full
        self.setup.full = memory > limits.content_memory or files > limits.content_files
        if self.setup.full and not full:
            _log.warning("no room for more content", memory=memory, files=files)

    def _report_refused(self) -> None:
        """Log what was refused since the last time: one line, however many there were."""
        if self._refused:
            last, limit = self._refused_last
            _log.warning("connections refused", count=self._refused, last=last, limit=limit)
            self._refused = 0

    async def emptied(self, patience: float) -> None:
        """Wait until there is no connection, or `patience` seconds."""
        if self.connections:
            self._empty.clear()
            await _wait(self._empty, patience)

    async def drain(self, patience: float) -> None:
        """End all sessions: idle ones now, the others after their message or `patience` seconds."""
        self.draining = True
        for handshake in tuple(self.expected):
            handshake.abort()
        for connection in tuple(self.connections):
            if connection.idle:
                connection.dismiss(r.SHUTTING_DOWN)
        await self.emptied(patience)
        for connection in tuple(self.connections):
            connection.abort()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        self._sweeper.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
