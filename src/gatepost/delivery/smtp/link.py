"""One connection to a next hop: commands out, answers in, each wait with its time limit.

Theory of operation: `exchange` writes a group of commands at once where the next hop has PIPELINING
and waits once for all of their answers, otherwise for one after the other. `data_received` reads
answers as they come and wakes whoever waits when the last is there, or none will come any more.
There is one user at a time, and no task of its own.

Security: the wire decides what is an answer; after anything it does not like the connection is
closed. Nothing is written after that, and what was written of a message has no end.
Limits: the time limits given; a next hop's unread bytes are read at once, and bounded by the wire.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import cast

from gatepost.delivery.smtp import errors
from gatepost.model.reply import Reply
from gatepost.model.session import TlsFacts
from gatepost.net.client_tls import ClientTls
from gatepost.net.tls_codec import TlsCodec
from gatepost.net.tls_transport import TlsTransport
from gatepost.wire import events as e
from gatepost.wire.protocol import NEED_DATA, ProtocolError
from gatepost.wire.smtp import State
from gatepost.wire.smtp.client import SHUTTING_DOWN, Answer, SmtpClient
from gatepost.wire.smtp.content_writer import ImpureError
from gatepost.wire.smtp.reply_reader import PeerError

# Content is written in pieces of this many octets or more, so that small ones make no segments.
FLUSH = 64 * 1024
# How long a next hop may take to say good-bye.
GOODBYE = 5.0

# Why a command or a piece of content is not sent; the connection has come to its end then.
_UNSENDABLE = (ImpureError, PeerError, ProtocolError)

_QUIT = e.Quit()
_END = e.EndOfMessage()


class Link(asyncio.Protocol):
    """A connection; `name` is the next hop's for errors and logs, `wire` what is known of it.

    `messages` counts the transactions begun on it, `begun` is whether content of the last was sent,
    `fresh` is true until it has been in a pool, `gone` is done
    once it is closed.
    """

    def __init__(self, wire: SmtpClient, name: str) -> None:
        self.wire = wire
        self.name = name
        self.messages = 0
        self.fresh = True
        self.begun = False
        self.facts: TlsFacts | None = None
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._secured: TlsTransport | None = None
        self._answers: list[Answer] = []
        self._failure: errors.NextHopError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._leaving = False

    @property
    def usable(self) -> bool:
        """Whether another transaction can begin, with a RSET before it if need be."""
        wire = self.wire
        return self._failure is None and not wire.broken and not wire.owed and not wire.sending

    @property
    def dirty(self) -> bool:
        """Whether a transaction is open."""
        return self.wire.state is not State.READY

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        # uvloop's transports have the interface of asyncio.Transport, but do not derive from it
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read answers; none count any more behind one that ends the connection."""
        wire = self.wire
        if self._failure is not None or wire.broken:
            return
        if self._leaving:
            self.abort()
            return
        wire.receive_data(data)
        try:
            while (event := wire.next_event()) is not NEED_DATA:
                self._answers.append(cast("Answer", event))
        except PeerError as error:
            self._fail(errors.not_understood(f"{self.name}: {error}"))
        if wire.broken or not wire.owed:
            self._wake()

    def secured(self, facts: TlsFacts) -> None:
        """Go on under TLS."""
        self.facts = facts
        self._wake()

    def tls_failed(self, problem: str) -> None:
        """Do nothing: `connection_lost` follows, and reads the reason from the transport."""

    def eof_received(self) -> bool:
        """Close: a next hop that says no more takes no more."""
        return False

    def pause_writing(self) -> None:
        """Have content wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Let content go on."""
        self._paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._secured is not None and self._secured.failure:
            self._fail(errors.tls_failed(f"{self.name}: {self._secured.failure}"))
        self._fail(errors.broken_off(f"{self.name}: {exc or 'the connection was closed'}"))
        if not self.gone.done():
            self.gone.set_result(None)

    # What its user calls

    async def begin_tls(self, tls: ClientTls, host: str, limit: float) -> None:
        """Do the handshake; raises `NextHopError`."""
        codec = TlsCodec(tls.context, tls.peer_name(host))
        self._secured = TlsTransport(codec, self._writable(), self)
        self._transport = self._secured
        self._secured.begin()
        while self._secured.handshaking:
            await self._wait(limit)
            self._writable()

    def write(self, data: bytes) -> None:
        """Write what is not of SMTP, if anything: a PROXY header."""
        if data:
            self._writable().write(data)

    async def greeting(self, limit: float) -> Reply:
        """Return what the next hop says first; raises `NextHopError`."""
        return (await self._collect(limit))[0]

    async def exchange(self, commands: Sequence[e.Event], limit: float) -> list[Reply]:
        """Send commands, return the reply to each; raises `NextHopError`.

        Without PIPELINING nothing is sent behind a MAIL that is refused, or a good-bye.
        """
        if len(commands) == 1 or "PIPELINING" in self.wire.extensions:
            return await self._group(commands, limit)
        replies: list[Reply] = []
        for command in commands:
            replies += await self._group([command], limit)
            if self.wire.broken or (replies[-1].code >= 400 and type(command) is e.Mail):
                break
        return replies

    async def _group(self, commands: Sequence[e.Event], limit: float) -> list[Reply]:
        try:
            data = b"".join([self.wire.send(command) for command in commands])
        except _UNSENDABLE as error:
            self._fail(errors.not_understood(f"{self.name}: {error}"))
            data = b""
        self._writable().write(data)
        return await self._collect(limit, len(commands))

    async def send_content(
        self,
        chunk: e.Bdat | None,
        pieces: Iterable[bytes],
        number: int,
        block: float,
        end: float,
    ) -> list[Reply | errors.NextHopError]:
        """Send content, return what is answered to its end: `number` of replies.

        Where the connection ends before all are there, its error stands for each that is missing;
        a refusal in the middle of the content, or a 421, counts for all behind it.
        `chunk` is the command in front if the content goes by BDAT, `block` and `end` are the time
        limits of each piece and of the answer. Raises `NextHopError` if the end was never sent.
        """
        try:
            await self._stream(chunk, pieces, block)
        except _UNSENDABLE as error:
            self._fail(errors.not_understood(f"{self.name}: content not sent: {error}"))
        while self.wire.owed and not self.wire.broken and self._failure is None:
            await self._wait(end)
        replies = self._take_answers()
        if len(replies) >= number:
            return [*replies]
        refusal = replies[-1] if replies and self.wire.sending else said_goodbye(replies)
        if refusal is not None:
            return [*replies, *[refusal] * (number - len(replies))]
        failure = self._failure
        assert failure is not None
        if self.wire.sending:
            raise failure
        detail = f"{failure.detail}; unknown whether the message was taken"
        return [*replies, *[errors.broken_off(detail)] * (number - len(replies))]

    async def _stream(self, chunk: e.Bdat | None, pieces: Iterable[bytes], block: float) -> None:
        send = self.wire.send
        waiting = [] if chunk is None else [send(chunk)]
        size = 0
        for piece in pieces:
            data = send(e.Content(piece))
            waiting.append(data)
            size += len(data)
            if size >= FLUSH:
                await self._flush(waiting, block)
                size = 0
                if self.wire.broken:
                    return
        waiting.append(send(_END))
        await self._flush(waiting, block)

    async def _flush(self, waiting: list[bytes], limit: float) -> None:
        self._writable().write(b"".join(waiting))
        waiting.clear()
        while self._paused and not self.wire.broken:
            await self._wait(limit)

    def _writable(self) -> asyncio.Transport:
        if self._failure is not None:
            raise self._failure
        assert self._transport is not None
        return self._transport

    async def _collect(self, limit: float, number: int = 1) -> list[Reply]:
        """Wait until all is answered or nothing more will come; return `number` of replies.

        A 421 counts for all commands behind it.
        """
        while self.wire.owed and not self.wire.broken and self._failure is None:
            await self._wait(limit)
        replies = self._take_answers()
        goodbye = said_goodbye(replies)
        if goodbye is not None:
            replies += [goodbye] * (number - len(replies))
        if len(replies) < number:
            assert self._failure is not None
            self._failure.replies = replies
            raise self._failure
        return replies

    def _take_answers(self) -> list[Reply]:
        answers, self._answers = self._answers, []
        return [answer.reply for answer in answers]

    async def _wait(self, limit: float) -> None:
        """Wait until something has happened; raises `NextHopError` where it does not in time."""
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(limit, self._expire, limit)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _expire(self, limit: float) -> None:
        self._fail(errors.broken_off(f"{self.name}: nothing happened for {limit:g} seconds"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: errors.NextHopError) -> None:
        if self._failure is None:
            self._failure = error
            if self._transport is not None:
                self._transport.abort()
        self._wake()

    def close(self) -> None:
        """Say good-bye if there is somebody to hear it, and close; nobody has to wait."""
        if not self.usable or self._transport is None:
            self.abort()
            return
        transport = self._transport
        self._leaving = True
        transport.write(self.wire.send(_QUIT))
        self._loop.call_later(GOODBYE, transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._fail(errors.broken_off(f"{self.name}: given up"))


def said_goodbye(replies: Iterable[Reply]) -> Reply | None:
    """Return the 421 among some replies, if there is one."""
    return next((one for one in replies if one.code == SHUTTING_DOWN), None)
