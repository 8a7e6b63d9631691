"""The sending side of SMTP as commands in, bytes out, and bytes in, answers out: RFC 5321, 2920.

Contract
--------
`send(command)` takes an event of `gatepost.wire.events` – the server's words for what a client
does – and returns the bytes to put on the wire. `receive_data(bytes)` only buffers. `next_event()`
returns the next `Answer` or NEED_DATA. The greeting is the answer to `Connected`, which nobody has
to send.

With PIPELINING (RFC 2920) commands may be sent before those in front of them are answered, up to
one of LAST_IN_GROUP; without, one at a time. After a 354 to DATA the content follows as `Content`
and ends with `EndOfMessage`; after `Bdat` – a single chunk is a whole message here – as `Content`
of just that size, and `EndOfMessage`, which adds nothing, says that there was no more.

`state` is what has been agreed with the next hop, by the same table as the server's; `extensions`
are its keywords with what stands behind them. Both forget what was said before TLS.

Errors: `ProtocolError` is the caller's fault, `ImpureError` the content's, `PeerError` the next
hop's. Any other exception is a bug here. After one of them, and after an answer that ends the
connection – 421, or a refusal in the middle of the content – the client is `broken`: nothing can be
sent any more.

Security: an answer nobody has asked for would shift all the others, and a later message be taken
for accepted that is not. So whatever comes unasked ends the connection, and so does a 2yz or 3yz
where it makes no sense, such as 354 without a recipient. Nothing that came before TLS is read after
it (CVE-2011-0411).
Limits: those of `gatepost.wire.smtp.reply_reader`.
"""

import re
from collections import deque
from typing import ClassVar

import msgspec

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.protocol import NEED_DATA, ProtocolError, Signal
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.command_writer import compose
from gatepost.wire.smtp.commands import COMMANDS, OFFERED_COMMANDS
from gatepost.wire.smtp.content_writer import ChunkWriter, DotWriter, ImpureError
from gatepost.wire.smtp.reply_reader import PeerError, ReplyReader

# RFC 2920 s3.1: what must wait for its answer before anything else is sent.
LAST_IN_GROUP: frozenset[type[e.Event]] = frozenset(
    {
        *(e.Connected, e.Ehlo, e.Helo, e.Data, e.Bdat, e.Noop, e.Quit, e.StartTls),
        *(e.Xclient, e.Auth, e.AuthResponse),
    }
)
# The replies that let a command succeed, where they are not just any 2yz. DATA has but one: what is
# sent after it would be commands to a next hop that means something else.
_FINE = frozenset(range(200, 300))
SUCCESS: dict[type[e.Event], frozenset[int]] = {
    e.Data: frozenset({354}),
    e.Auth: _FINE | {334},
    e.AuthResponse: _FINE | {334},
}

_TRANSITIONS = {
    row.event: row.transitions for row in (*COMMANDS.values(), *OFFERED_COMMANDS.values())
}
# After these the extensions are others, or unknown.
_BEGINNINGS = frozenset({e.Ehlo, e.Helo, e.StartTls, e.Xclient})
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_MESSAGES = frozenset({e.Data, e.Bdat})
_ENDS = frozenset({e.Bdat, e.EndOfMessage})
_END_OF_MESSAGE = e.EndOfMessage()
SHUTTING_DOWN = 421


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A reply, and the command it is to; None for a 421 that nobody has asked for."""

    to: e.Event | None
    reply: Reply


class SmtpClient:
    """One connection. See the module for the contract."""

    __slots__ = ("_accepted", "_owed", "_reader", "_writer", "broken", "extensions", "state")

    hello: ClassVar[str] = "EHLO"

    def __init__(self) -> None:
        self.extensions: dict[str, str] = {}
        self.state = State.START
        self.broken = False
        self._reader = ReplyReader()
        self._owed: deque[e.Event] = deque([e.Connected()])
        self._writer: DotWriter | ChunkWriter | None = None
        self._accepted = 0

    @property
    def owed(self) -> int:
        """How many answers are still to come."""
        return len(self._owed)

    @property
    def sending(self) -> bool:
        """Whether the client is in the middle of a message."""
        return self._writer is not None

    def send(self, command: e.Event) -> bytes:
        """Return a command, or a piece of content, as bytes; raises as the module says."""
        if self.broken:
            raise ProtocolError("the connection can only be closed")
        if type(command) is e.Content:
            return self._write(command.data)
        if type(command) is e.EndOfMessage:
            return self._end()
        self._check_turn()
        line = compose(command, self.hello)
        if type(command) is e.Bdat:
            self._begin_chunk(command)
        self._owed.extend([command] * self._answers(command))
        return line

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the next hop."""
        self._reader.receive_data(data)

    def next_event(self) -> Answer | Signal:
        """Return what the next hop has answered; raises `PeerError`."""
        try:
            reply = self._reader.next_reply()
            return NEED_DATA if reply is None else self._settle(reply)
        except PeerError:
            self.broken = True
            raise

    def start_tls(self) -> None:
        """Begin anew: what is received from here on came under TLS."""
        self.extensions = {}
        self.state = State.START

    def _check_turn(self) -> None:
        if self._writer is not None:
            raise ProtocolError("expected content")
        if not self._owed:
            if self._reader.unread:
                self.broken = True
                raise PeerError("an answer to nothing")
        elif type(self._owed[-1]) in LAST_IN_GROUP or "PIPELINING" not in self.extensions:
            raise ProtocolError("the commands in front are not answered yet")

    def _answers(self, _command: e.Event) -> int:
        """Return how many answers a command has."""
        return 1

    # Content

    def _begin_chunk(self, chunk: e.Bdat) -> None:
        if self._owed or self.state is not State.RCPT or not chunk.last:
            raise ProtocolError("BDAT: expected accepted recipients, and the whole message")
        self._writer = ChunkWriter(chunk.size)

    def _write(self, data: bytes) -> bytes:
        if self._writer is None:
            raise ProtocolError("content is not expected now")
        try:
            return self._writer.write(data)
        except ImpureError:
            self.broken = True
            raise
        except ValueError as error:
            self.broken = True
            raise ProtocolError(str(error)) from error

    def _end(self) -> bytes:
        writer = self._writer
        if writer is None:
            raise ProtocolError("content is not expected now")
        self.broken = True
        try:
            end = writer.end()
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        self.broken = False
        if type(writer) is DotWriter:
            self._owed.extend([_END_OF_MESSAGE] * self._answers(_END_OF_MESSAGE))
        self._writer = None
        return end

    # Answers

    def _settle(self, reply: Reply) -> Answer:
        code = reply.code
        if code == SHUTTING_DOWN:
            self.broken = True
        if not self._owed:
            return self._unasked(reply)
        command = self._owed.popleft()
        if code >= 400:
            self._refused(command)
        elif code in SUCCESS.get(type(command), _FINE):
            self._succeeded(command, reply)
        else:
            raise PeerError(f"{type(command).__name__} answered with {code}")
        return Answer(command, reply)

    def _unasked(self, reply: Reply) -> Answer:
        if self._writer is not None and reply.code >= 400:
            self.broken = True
            return Answer(_END_OF_MESSAGE, reply)
        if reply.code != SHUTTING_DOWN:
            raise PeerError(f"an answer to nothing: {reply.code}")
        return Answer(None, reply)

    def _refused(self, command: e.Event) -> None:
        """Take note that a transaction is over, and where in a chunk that cannot be left out."""
        kind = type(command)
        if kind in _MESSAGES and self.state is State.RCPT:
            self.state = State.READY
        if kind is e.Bdat and self._writer is not None:
            self.broken = True

    def _succeeded(self, command: e.Event, reply: Reply) -> None:
        kind = type(command)
        if kind is e.Bdat and type(self._writer) is ChunkWriter and not self._writer.done:
            raise PeerError("a chunk accepted before it was sent")
        self._move_on(kind)
        if kind is e.Mail:
            self._accepted = 0
        elif kind is e.Rcpt:
            self._accepted += 1
        elif kind is e.Data:
            self._writer = DotWriter()
        elif kind in _BEGINNINGS:
            self.extensions = read_extensions(reply) if kind is e.Ehlo else {}
        if kind is e.StartTls and self._reader.unread:
            raise PeerError("something in the clear behind the answer to STARTTLS")

    def _move_on(self, kind: type[e.Event]) -> None:
        if kind is e.Bdat:
            self.state = State.READY
        elif kind in _TRANSITIONS:
            following = _TRANSITIONS[kind][self.state]
            if isinstance(following, Reply):
                raise PeerError(f"{kind.__name__} accepted out of order")
            self.state = following


class LmtpClient(SmtpClient):
    """The same for LMTP (RFC 2033): a message has an answer for each recipient that was accepted.

    A refusal in the middle of the content is one answer that counts for all.
    """

    __slots__ = ()

    hello = "LHLO"

    def _answers(self, command: e.Event) -> int:
        return self._accepted if type(command) in _ENDS else 1


def read_extensions(reply: Reply) -> dict[str, str]:
    """Return the keywords of an answer to EHLO, in upper case, with their parameters."""
    found: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        keyword, _, parameters = line.partition(" ")
        if _KEYWORD.fullmatch(keyword):
            found[keyword.upper()] = parameters.strip()
    return found
