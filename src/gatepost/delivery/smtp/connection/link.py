"""One connection to a next hop: sends commands and receives replies, each wait with a time limit.

Theory of operation: with PIPELINING `exchange` writes a group of commands at once and waits once
for all replies, otherwise it waits after each command. `data_received` parses replies as they come.
It wakes the waiting user when the last reply is there, or if none will come. A link has one user at
a time, and no task. A wait only moves the deadline: the timer checks it when it ends, and runs on
until then. A busy link therefore starts few timers.

Security: the wire decides what is a valid reply; after any violation the connection is closed.
Nothing is written after that, and a message that was being written has no end.
Limits: the time limits given. Received bytes are parsed at once, and the wire bounds them.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any, cast

from gatepost.delivery.smtp import errors
from gatepost.model.reply import Reply
from gatepost.model.session import TlsFacts
from gatepost.net.client_tls import ClientTls
from gatepost.net.tls_codec import TlsCodec
from gatepost.net.tls_transport import TlsTransport
from gatepost.wire import events as e
from gatepost.wire.protocol import NEED_DATA, ProtocolError
from gatepost.wire.smtp import State
from gatepost.wire.smtp.sending.client import SHUTTING_DOWN, CommandReply, SmtpClient
from gatepost.wire.smtp.sending.content_writer import ImpureError
from gatepost.wire.smtp.sending.reply_reader import PeerError

# Small pieces of content are joined to this many octets or more, to save segments.
FLUSH = 64 * 1024
# Seconds to wait for the reply to QUIT.
QUIT_TIMEOUT = 5.0

# Errors that keep a command or a piece of content from being sent; the connection ends then.
_UNSENDABLE = (ImpureError, PeerError, ProtocolError)

_QUIT = e.Quit()
_END = e.EndOfMessage()


class Link(asyncio.Protocol):
    """A connection; `name` is the next hop's name for errors and logs, `wire` its protocol state.

    `messages` counts the transactions, `content_sent` is whether content of the last was sent.
    `fresh` is true until the link has been in a pool. `spent` is whether it must not be used for
    another message. `closed` is done when it is closed.
    """

    def __init__(self, wire: SmtpClient, name: str) -> None:
        self.wire = wire
        self.name = name
        self.messages = 0
        self.fresh = True
        self.spent = False
        self.content_sent = False
        self.facts: TlsFacts | None = None
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._tls: TlsTransport | None = None
        self._answers: list[CommandReply] = []
        self._failure: errors.NextHopError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_end = self._deadline = self._limit = 0.0
        self._paused = False
        self._quitting = False

    @property
    def usable(self) -> bool:
        """Return whether another transaction can start, after RSET if `dirty`."""
        wire = self.wire
        return self._failure is None and not wire.broken and not wire.owed and not wire.sending

    @property
    def dirty(self) -> bool:
        """Return whether a transaction is open."""
        return self.wire.state is not State.READY

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports have the interface of asyncio.Transport, but do not derive from it
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse replies, but none after a reply that ends the connection."""
        wire = self.wire
        if self._failure is not None or wire.broken:
            return
        if self._quitting:
            self.abort()
            return
        wire.receive_data(data)
        try:
            while (event := wire.next_event()) is not NEED_DATA:
                self._take(cast("CommandReply", event))
        except PeerError as error:
            self._fail(errors.protocol_error(f"{self.name}: {error}"))
        if wire.broken or not wire.owed:
            self._wake()

    def _take(self, answer: CommandReply) -> None:
        """Keep the reply to a command; a reply to none, which is a 421, only ends the connection.

        A user gets at most one reply for each command. A message that was accepted stays accepted.
        """
        if answer.to is None:
            self._fail(errors.shut_down(answer.reply, self.name))
        else:
            self._answers.append(answer)

    def secured(self, facts: TlsFacts) -> None:
        """Continue under TLS."""
        self.facts = facts
        self._wake()

    def tls_failed(self, problem: str) -> None:
        """Do nothing: `connection_lost` follows, and reads the reason from the transport."""

    def eof_received(self) -> bool:
        """Close: a next hop that sends no more accepts no more."""
        return False

    def pause_writing(self) -> None:
        """Pause content."""
        self._paused = True

    def resume_writing(self) -> None:
        """Resume content."""
        self._paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the waiting user."""
        if self._tls is not None and self._tls.failure:
            self._fail(errors.tls_failed(f"{self.name}: {self._tls.failure}"))
        self._fail(errors.connection_lost(f"{self.name}: {exc or 'the connection was closed'}"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.closed.done():
            self.closed.set_result(None)

    # Called by the user

    async def start_tls(self, tls: ClientTls, host: str, limit: float) -> None:
        """Do the handshake; raise `NextHopError`."""
        codec = TlsCodec(tls.context, tls.peer_name(host))
        self._tls = TlsTransport(codec, self._writable(), self)
        self._transport = self._tls
        self._tls.begin()
        while self._tls.handshaking:
            await self._next(limit)
            self._writable()

    def write(self, data: bytes) -> None:
        """Write bytes in front of SMTP, if any: a PROXY header."""
        if data:
            self._writable().write(data)

    async def greeting(self, limit: float) -> Reply:
        """Return the greeting; raise `NextHopError`."""
        return (await self._collect(limit))[0]

    def exchange(
        self, commands: Sequence[e.Event], limit: float
    ) -> Coroutine[Any, Any, list[Reply]]:
        """Send commands and return the reply to each; raise `NextHopError`.

        Without PIPELINING nothing is sent after a refused MAIL, or a 421.
        """
        if len(commands) == 1 or "PIPELINING" in self.wire.extensions:
            return self._send_group(commands, limit)
        return self._send_each(commands, limit)

    async def _send_each(self, commands: Sequence[e.Event], limit: float) -> list[Reply]:
        replies: list[Reply] = []
        for command in commands:
            replies += await self._send_group([command], limit)
            code = replies[-1].code
            if code == SHUTTING_DOWN or (code >= 400 and type(command) is e.Mail):
                break
        return replies

    def _send_group(
        self, commands: Sequence[e.Event], limit: float
    ) -> Coroutine[Any, Any, list[Reply]]:
        try:
            data = b"".join([self.wire.send(command) for command in commands])
        except _UNSENDABLE as error:
            self._fail(errors.protocol_error(f"{self.name}: {error}"))
        else:
            if self._failure is None:  # otherwise the wait raises it
                self._writable().write(data)
        return self._collect(limit, len(commands))

    async def send_content(
        self,
        chunk: e.Bdat | None,
        pieces: Iterable[bytes],
        number: int,
        block: float,
        end: float,
    ) -> list[Reply | errors.NextHopError]:
        """Send content and return the `number` of replies to its end.

        If the connection ends early, its error takes the place of each missing reply. A refusal
        within the content, or a 421, counts for all later replies. `chunk` is the BDAT command,
        None for DATA. `block` and `end` are the time limits of each piece and of the reply. Raise
        `NextHopError` if the end was not sent.
        """
        wire = self.wire
        try:
            waiting = [] if chunk is None else [wire.send(chunk)]
            source, more = iter(pieces), True
            while more and not wire.broken:
                more = self._fill(waiting, source)
                self._writable().write(b"".join(waiting))
                waiting.clear()
                while self._paused and not wire.broken:
                    await self._next(block)
        except _UNSENDABLE as error:
            self._fail(errors.protocol_error(f"{self.name}: content not sent: {error}"))
        while wire.owed and not wire.broken and self._failure is None:
            await self._next(end)
        replies = self._take_answers(number)
        if len(replies) >= number:
            return [*replies]
        refusal = replies[-1] if replies and wire.sending else find_shutdown(replies)
        if refusal is not None:
            return [*replies, *[refusal] * (number - len(replies))]
        failure = self._failure
        assert failure is not None
        if wire.sending:
            raise failure
        missing = number - len(replies)
        return [*replies, *[errors.uncertain(failure.detail)] * missing]

    def _fill(self, waiting: list[bytes], pieces: Iterator[bytes]) -> bool:
        """Add pieces up to FLUSH octets, or the end of the content; return whether more follow."""
        size = 0
        for piece in pieces:
            data = self.wire.send(e.Content(piece))
            waiting.append(data)
            size += len(data)
            if size >= FLUSH:
                return True
        waiting.append(self.wire.send(_END))
        return False

    def _writable(self) -> asyncio.Transport:
        if self._failure is not None:
            raise self._failure
        assert self._transport is not None
        return self._transport

    async def _collect(self, limit: float, number: int = 1) -> list[Reply]:
        """Wait until all replies are there, or none will come; return the `number` of replies.

        A 421 counts for all later commands.
        """
        while self.wire.owed and not self.wire.broken and self._failure is None:
            await self._next(limit)
        replies = self._take_answers(number)
        shutdown = find_shutdown(replies)
        if shutdown is not None:
            replies += [shutdown] * (number - len(replies))
        if len(replies) < number:
            assert self._failure is not None
            self._failure.replies = replies
            raise self._failure
        return replies

    def _take_answers(self, number: int) -> list[Reply]:
        """Return at most `number` replies. A refusal of content may be there before its end."""
        answers = self._answers[:number]
        del self._answers[:number]
        return [answer.reply for answer in answers]

    def _next(self, limit: float) -> asyncio.Future[None]:
        """Return a future of the next event, a timeout included; raise `NextHopError`."""
        if self._failure is not None:
            raise self._failure
        self._limit, self._deadline = limit, self._loop.time() + limit
        if self._timer is None or self._deadline < self._timer_end:
            self._start_timer(limit)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _start_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_end = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._check_deadline)

    def _check_deadline(self) -> None:
        """Fail if the user has waited too long; if the wait is newer than the timer, go on."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        left = self._deadline - self._loop.time()
        if left > 0:
            self._start_timer(left)
        else:
            limit = f"timeout after {self._limit:g} seconds"
            self._fail(errors.connection_lost(f"{self.name}: {limit}"))

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: errors.NextHopError) -> None:
        if self._failure is None:
            self._failure = error
            if self._transport is not None:
                self._transport.abort()
        self._wake()

    def close(self) -> None:
        """Send QUIT if possible, and close; this does not wait."""
        if not self.usable or self._transport is None:
            self.abort()
            return
        transport = self._transport
        self._quitting = True
        transport.write(self.wire.send(_QUIT))
        self._loop.call_later(QUIT_TIMEOUT, transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._fail(errors.connection_lost(f"{self.name}: aborted"))


def find_shutdown(replies: Iterable[Reply]) -> Reply | None:
    """Return the 421 among the replies, None if there is none."""
    return next((one for one in replies if one.code == SHUTTING_DOWN), None)
