"""Play sessions against the engine in memory: bytes in by `data_received`, replies out.

The path is that of a socket, without the socket: the connection parses, asks rules and plugins, and
delivers to a plugin that keeps the message. The clock is virtual. Sessions are played one after the
other, in the order of their time.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, cast

from gatepost.server.connection import Connection
from gatepost.server.listener import ListenerSettings
from gatepost.session.dialect import DIALECTS
from sim.sessions import Answer, Envelope, Outcome, Session

if TYPE_CHECKING:
    from gatepost.testing import VirtualClock
    from sim.policy.server import Site

MARKS = (b"X-Gatepost-Trap:", b"X-Trap-Memory:")
_CODE = re.compile(rb"^(\d\d\d) ", re.MULTILINE)
_CONTENT = "Subject: {}simulated\r\nMessage-ID: <{}@client.example>\r\n{}\r\ntext\r\n.\r\n"
_REPLY = "In-Reply-To: <a@attacker.example>\r\n"
_OPEN = 354


class Pipe:
    """The transport of a connection: keeps what the server writes."""

    def __init__(self, peer: str) -> None:
        self._extra = {"peername": (peer, 25000), "sockname": ("192.0.2.25", 25)}
        self.written = bytearray()
        self.closed = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return the addresses of both ends."""
        return self._extra.get(name, default)

    def write(self, data: bytes) -> None:
        """Keep bytes."""
        self.written += data

    def can_write_eof(self) -> bool:
        """Return False: the transport can only be closed."""
        return False

    def pause_reading(self) -> None:
        """Do nothing: the player waits for replies."""

    def resume_reading(self) -> None:
        """Do nothing, like `pause_reading`."""

    def close(self) -> None:
        """Note that the server has closed."""
        self.closed = True

    abort = close


class Client:
    """One connection; `codes` are the reply codes that were not read yet."""

    def __init__(self, server: Site, settings: ListenerSettings, peer: str) -> None:
        self.pipe = Pipe(peer)
        self._connection = Connection(server.connections, settings)
        self._connection.connection_made(cast("asyncio.Transport", self.pipe))
        self._codes: deque[int] = deque()

    async def send(self, data: bytes) -> None:
        """Send bytes and wait for all replies."""
        if self.pipe.closed:
            return
        self._connection.data_received(data)
        while await self._connection.pump.until_idle():
            pass
        self._codes.extend(map(int, _CODE.findall(self.pipe.written)))
        self.pipe.written.clear()

    def code(self) -> int:
        """Return the next reply code, 0 if there is none."""
        return self._codes.popleft() if self._codes else 0

    def skip(self) -> None:
        """Drop the replies so far."""
        self._codes.clear()

    async def close(self) -> None:
        """Close the connection."""
        self._connection.connection_lost(None)
        while await self._connection.pump.until_idle():
            pass


class Player:
    """Plays sessions against a site."""

    def __init__(self, server: Site, clock: VirtualClock) -> None:
        self._server = server
        self._clock = clock
        self._facts = server.facts
        self._settings = ListenerSettings(DIALECTS["smtp"])
        self._start = clock.time()
        self._number = 0

    async def play(self, session: Session) -> Outcome:
        """Play a session at its time; return the replies."""
        self._clock.move_to(self._start + session.time)
        client = Client(self._server, self._settings, session.client)
        try:
            await client.send(f"EHLO {session.helo}\r\n".encode())
            client.skip()
            return tuple([await self._message(client, one) for one in session.messages])
        finally:
            await client.close()

    async def _message(self, client: Client, one: Envelope) -> Answer:
        self._facts.current = one.facts
        rcpts = "".join(f"RCPT TO:<{rcpt.address}>\r\n" for rcpt in one.recipients)
        data = "" if one.probe else "DATA\r\n"
        await client.send(f"MAIL FROM:<{one.sender}>\r\n{rcpts}{data}".encode())
        if client.code() != 250:
            client.skip()
            return Answer((0,) * len(one.recipients))
        codes = tuple([client.code() for _ in one.recipients])
        if one.probe:
            client.skip()
            return Answer(codes)
        answer = client.code()
        if answer != _OPEN:
            client.skip()
            return Answer(codes, answer)
        await client.send(self._content(one))
        return Answer(codes, answer, client.code(), marked=self._take_mark())

    def _content(self, one: Envelope) -> bytes:
        """Return a message with an identifier of its own."""
        self._number += 1
        parts = ("Re: ", self._number, _REPLY) if one.is_reply else ("", self._number, "")
        return _CONTENT.format(*parts).encode()

    def _take_mark(self) -> bool:
        """Return whether the message that was just delivered has the mark; drop the message."""
        messages = self._server.messages
        marked = any(mark in one.content for one in messages for mark in MARKS)
        messages.clear()
        return marked
