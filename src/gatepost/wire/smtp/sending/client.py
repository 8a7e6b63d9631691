"""The sending side of SMTP: commands in, bytes out; bytes in, answers out. RFC 5321, 2920.

Contract
--------
`send(command)` takes an event of `gatepost.wire.events` and returns the bytes to send.
`receive_data(bytes)` only buffers. `next_event()` returns the next `CommandReply` or NEED_DATA. The
greeting is the answer to `Connected`, which is not sent.

With PIPELINING (RFC 2920) commands may be sent before earlier ones are answered, up to a command of
LAST_IN_GROUP. Without it, each command waits for the answer to the previous one. After a 354 reply
to DATA the content follows as `Content` and ends with `EndOfMessage`. After `Bdat` it follows as
`Content` of exactly that size, and `EndOfMessage` sends nothing more. A message here is a single
chunk.

`state` is the position in the command sequence, by the same table as on the server's side.
`extensions` are the keywords of the next hop with their parameters. STARTTLS resets both.

Errors: `ProtocolError` is a fault of the caller, `ImpureError` of the content, `PeerError` of the
next hop. Any other exception is a bug here. The client is `broken` after each of them, except for a
`ProtocolError` that leaves the connection intact, and after an answer that ends the connection:
421, or a refusal in the middle of the content. A broken client sends nothing more.

Security: an answer without a command would shift all later ones, and a message could be taken for
accepted that is not. Such an answer ends the connection. So does a 2yz or 3yz reply that makes no
sense, such as 354 without a recipient. Input from before TLS is never read after it
(CVE-2011-0411).
Limits: those of `gatepost.wire.smtp.sending.reply_reader`.
"""

import re
from collections import deque
from typing import ClassVar

from gatepost.model.reply import Reply
from gatepost.model.structs import FrozenLeaf
from gatepost.wire import events as e
from gatepost.wire.protocol import NEED_DATA, ProtocolError, Signal
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.commands import COMMANDS, OFFERED_COMMANDS
from gatepost.wire.smtp.sending.command_writer import compose
from gatepost.wire.smtp.sending.content_writer import ChunkWriter, DotWriter, ImpureError
from gatepost.wire.smtp.sending.reply_reader import PeerError, ReplyReader

# RFC 2920 s3.1: after these, nothing is sent before the answer.
LAST_IN_GROUP: frozenset[type[e.Event]] = frozenset(
    {
        *(e.Connected, e.Ehlo, e.Helo, e.Data, e.Bdat, e.Noop, e.Quit, e.StartTls),
        *(e.Xclient, e.Auth, e.AuthResponse),
    }
)
# The codes of success, unless any 2yz will do. DATA has only 354: after any other code the
# next hop could read the content as commands.
_FINE = frozenset(range(200, 300))
SUCCESS: dict[type[e.Event], frozenset[int]] = {
    e.Data: frozenset({354}),
    e.Auth: _FINE | {334},
    e.AuthResponse: _FINE | {334},
}

_TRANSITIONS = {
    row.event: row.transitions for row in (*COMMANDS.values(), *OFFERED_COMMANDS.values())
}
# These change or reset the extensions.
_RESETS = frozenset({e.Ehlo, e.Helo, e.StartTls, e.Xclient})
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_MESSAGES = frozenset({e.Data, e.Bdat})
_ENDS = frozenset({e.Bdat, e.EndOfMessage})
_END_OF_MESSAGE = e.EndOfMessage()
SHUTTING_DOWN = 421


class CommandReply(FrozenLeaf, frozen=True, gc=False):
    """A reply and the command it answers; None for an unsolicited 421."""

    to: e.Event | None
    reply: Reply


class SmtpClient:
    """The sending side of one connection. See the module for the contract."""

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
        """Return the number of outstanding answers."""
        return len(self._owed)

    @property
    def sending(self) -> bool:
        """Return whether the client is in the middle of a message."""
        return self._writer is not None

    def send(self, command: e.Event) -> bytes:
        """Return the bytes of a command or a piece of content. Raises as the module describes."""
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
        """Buffer bytes from the next hop."""
        self._reader.receive_data(data)

    def next_event(self) -> CommandReply | Signal:
        """Return the next answer of the next hop or NEED_DATA. Raises `PeerError`."""
        try:
            reply = self._reader.next_reply()
            return NEED_DATA if reply is None else self._pair(reply)
        except PeerError:
            self.broken = True
            raise

    def start_tls(self) -> None:
        """Start again after the handshake."""
        self.extensions = {}
        self.state = State.START

    def _check_turn(self) -> None:
        if self._writer is not None:
            raise ProtocolError("expected content")
        if not self._owed:
            if self._reader.unread:
                self.broken = True
                raise PeerError("unexpected reply")
        elif type(self._owed[-1]) in LAST_IN_GROUP or "PIPELINING" not in self.extensions:
            raise ProtocolError("earlier commands are not answered yet")

    def _answers(self, _command: e.Event) -> int:
        """Return the number of answers to a command."""
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

    def _pair(self, reply: Reply) -> CommandReply:
        code = reply.code
        if code == SHUTTING_DOWN:
            self.broken = True
        if not self._owed:
            return self._unexpected(reply)
        command = self._owed.popleft()
        if code >= 400:
            self._refused(command)
        elif code in SUCCESS.get(type(command), _FINE):
            self._succeeded(command, reply)
        else:
            raise PeerError(f"{type(command).__name__} answered with {code}")
        return CommandReply(command, reply)

    def _unexpected(self, reply: Reply) -> CommandReply:
        if self._writer is not None and reply.code >= 400:
            self.broken = True
            return CommandReply(_END_OF_MESSAGE, reply)
        if reply.code != SHUTTING_DOWN:
            raise PeerError(f"unexpected reply: {reply.code}")
        return CommandReply(None, reply)

    def _refused(self, command: e.Event) -> None:
        """Record the end of the transaction; a refused chunk not sent yet breaks the client."""
        kind = type(command)
        if kind in _MESSAGES and self.state is State.RCPT:
            self.state = State.READY
        if kind is e.Bdat and self._writer is not None:
            self.broken = True

    def _succeeded(self, command: e.Event, reply: Reply) -> None:
        kind = type(command)
        if kind is e.Bdat and type(self._writer) is ChunkWriter and not self._writer.done:
            raise PeerError("chunk accepted before it was sent")
        self._move_on(kind)
        if kind is e.Mail:
            self._accepted = 0
        elif kind is e.Rcpt:
            self._accepted += 1
        elif kind is e.Data:
            self._writer = DotWriter()
        elif kind in _RESETS:
            self.extensions = read_extensions(reply) if kind is e.Ehlo else {}
        if kind is e.StartTls and self._reader.unread:
            raise PeerError("cleartext behind the reply to STARTTLS")

    def _move_on(self, kind: type[e.Event]) -> None:
        if kind is e.Bdat:
            self.state = State.READY
        elif kind in _TRANSITIONS:
            following = _TRANSITIONS[kind][self.state]
            if isinstance(following, Reply):
                raise PeerError(f"{kind.__name__} accepted out of order")
            self.state = following


class LmtpClient(SmtpClient):
    """The sending side of LMTP (RFC 2033): a message has one answer for each accepted recipient.

    A refusal in the middle of the content is one answer for all recipients.
    """

    __slots__ = ()

    hello = "LHLO"

    def _answers(self, command: e.Event) -> int:
        return self._accepted if type(command) in _ENDS else 1


def read_extensions(reply: Reply) -> dict[str, str]:
    """Return the keywords of a reply to EHLO, in upper case, with their parameters."""
    found: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        keyword, _, parameters = line.partition(" ")
        if _KEYWORD.fullmatch(keyword):
            found[keyword.upper()] = parameters.strip()
    return found
