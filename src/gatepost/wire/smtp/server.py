"""The receiving side of SMTP as bytes in, events out: RFC 5321, 2920, 3030, 6531.

Contract
--------
`receive_data(bytes)` only buffers. `next_event()` returns an event, NEED_DATA when there is not
enough to make one, or PAUSED while an event waits for its reply. `send(reply)` answers the event
and returns the bytes to put on the wire, possibly none. The first event, `Connected`, comes
without any data: its reply is the greeting. Replies thus leave in the order of the commands,
however those were pipelined, and nothing is interpreted before the command in front of it has been
answered.

`next_event` never raises for what a client sends: it is answered by a `Fault`. `ProtocolError`
means the caller broke this contract.

When STARTTLS has been answered 220 (RFC 3207) it is PAUSED until `start_tls()` says that the
handshake is done: from then on `receive_data` is given what TLS protects, and the session begins
anew. `switching` is true between the two.

AUTH answered 334 (RFC 4954) is followed by an `AuthResponse`, or a `Fault` that ends the exchange.
What is in `after_tls` joins `extensions` with TLS; before, its command is refused.

The events do not depend on how the bytes are cut into pieces, but for where `Content` is cut, and
how much of it comes before a `MessageFault`.

With `WireLimits.synchronised` clients may send ahead only what RFC 2920 allows: nothing behind a
command of `LAST`, and nothing at all if they said HELO. It is then the one thing that depends on
how the bytes arrive, and whoever waits for replies where that is required never meets it.

Security: nothing that came in the clear is interpreted after STARTTLS (CVE-2011-0411): with
anything behind it the command is refused and the session closed. A line must end with CRLF.
One with a bare CR or LF closes the session, because what comes after it may be read differently by
whoever composed it.
Limits: a command line of `WireLimits.command_line` octets, a message of `message_size`. Unread
input is as much as the caller feeds while PAUSED; `unread` tells how much that is.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from gatepost.model.reply import Reply
from gatepost.wire.events import (
    Auth,
    AuthResponse,
    Bdat,
    ChunkRefused,
    Connected,
    Content,
    Data,
    Event,
    Fault,
    MessageFault,
    StartTls,
    Unknown,
    Xclient,
)
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.auth import ResponseReader, parse_auth_in_clear
from gatepost.wire.smtp.commands import (
    AFTER_REFUSED_BDAT,
    COMMANDS,
    FOREIGN_VERBS,
    LAST,
    OFFERED_COMMANDS,
    Command,
    State,
)
from gatepost.wire.smtp.content import SWALLOW_FACTOR, ChunkReader, DotReader, Reader, Swallow
from gatepost.wire.smtp.path import STRICT

EXTENSIONS = frozenset({"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN"})

_CR = ord("\r")
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,15}")
# What stands for the chunks of a message before the first; most connections never see one.
_NO_CHUNKS = ChunkReader(0)
# Every connection begins with an event that needs no bytes; the reader of none has no state.
_GREETING = Swallow(0, Connected())
# Stands where the event waits while the handshake does.
_SWITCHING = StartTls()
_RESPONSE = ResponseReader()
# Events after which, unless refused, no command follows, or one of a client that is another now.
_TURNS = frozenset({StartTls, Auth, AuthResponse, Xclient})


class Signal(Enum):
    """What `next_event` returns when there is no event."""

    NEED_DATA = "need data"
    PAUSED = "paused"


NEED_DATA = Signal.NEED_DATA
PAUSED = Signal.PAUSED


class ProtocolError(Exception):
    """The caller broke the contract of `SmtpServer`."""


class WireLimits(msgspec.Struct, frozen=True):
    """Bounds in octets, and whether to refuse what is sent ahead of its time.

    RFC 5321 section 4.5.3.1.4 asks for command lines of 512; extensions lengthen them, and 2,048
    is what Postfix takes as well.
    """

    command_line: int = 2048
    message_size: int = 25 * 1024 * 1024
    synchronised: bool = False


class SmtpServer:
    """One connection. See the module for the contract.

    `paths` are the patterns of `gatepost.wire.smtp.path` to read addresses with, `extensions` the
    EHLO keywords whose parameters and commands are understood, from the next command on; `commands`
    the rows of the protocol by verb. `plain` is whether the client said HELO last, so that it does
    not know of extensions.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_chunks",
        "_commands",
        "_dropped",
        "_event",
        "_incoming",
        "_limits",
        "_next_state",
        "_reader",
        "after_tls",
        "authenticated",
        "extensions",
        "last_words",
        "paths",
        "plain",
        "secured",
        "smtputf8",
        "state",
    )

    # Rows of commands that exist only where the extension of their name is among `extensions`.
    offered: ClassVar[Mapping[str, Command]] = OFFERED_COMMANDS

    def __init__(
        self,
        limits: WireLimits,
        paths: Mapping[str, re.Pattern[str]] = STRICT,
        extensions: frozenset[str] = EXTENSIONS,
        commands: Mapping[str, Command] = COMMANDS,
    ) -> None:
        self._commands = commands
        self._limits = limits
        self.paths = paths
        self.extensions = extensions
        self.state = State.START
        self.last_words: Reply | None = None
        self.smtputf8 = False
        self.plain = False
        self.secured = False
        self.authenticated = False
        self.after_tls: frozenset[str] = frozenset()
        self._buffer = b""
        self._at = 0
        self._incoming: list[bytes] = []
        self._reader: Reader | None = _GREETING
        self._chunks = _NO_CHUNKS
        self._dropped = 0
        self._event: Event | None = None
        self._next_state: State | None = None

    @property
    def unread(self) -> int:
        """How many octets have been received and not yet interpreted."""
        return len(self._buffer) - self._at + sum(map(len, self._incoming))

    @property
    def closed(self) -> bool:
        """Whether a closing reply (`last_words`) was sent: nothing more is read."""
        return self.last_words is not None

    @property
    def switching(self) -> bool:
        """Whether STARTTLS has been accepted and the handshake is still to come."""
        return self._event is _SWITCHING

    @property
    def receiving(self) -> bool:
        """Whether the client is in the middle of a message."""
        return self._reader is not None and self._reader is not _RESPONSE

    @property
    def first_chunk(self) -> bool:
        """Whether the next BDAT is the first of its message."""
        return self.state is not State.CHUNKING

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._at == len(self._buffer):
            self._buffer = data
            self._at = 0
        else:
            self._incoming.append(data)

    def start_tls(self) -> None:
        """Forget what was said in the clear: what is received from here on came under TLS."""
        self.secured = True
        self.smtputf8 = False
        self.authenticated = False
        self.extensions |= self.after_tls
        self.after_tls = frozenset()
        self._event = None
        self._buffer, self._at = b"", 0
        self._incoming.clear()

    def next_event(self) -> Event | Signal:
        """Return what the client did next."""
        if self._event is not None or self.last_words is not None:
            return PAUSED
        if self._incoming:
            self._gather()
        event = None
        if self._reader is None:
            if self._at == len(self._buffer):
                self._buffer, self._at = b"", 0  # an idle client's last words are not kept
                return NEED_DATA
            event = self._read_command()
        if event is None:
            event = self._read_content()
        if event is None:
            return NEED_DATA
        if type(event) is not Content:
            self._event = event
        return event

    def send(self, reply: Reply) -> bytes:
        """Answer the last event; return what to put on the wire."""
        event = self._event
        if event is None:
            raise ProtocolError("there is no event to answer")
        self._event = None
        if reply.close:
            self.last_words = reply
        if type(event) is Bdat:
            return self._answer_chunk(event, reply)
        if type(event) is Data:
            return self._answer_data(reply)
        if reply.code < 400:
            if self._next_state is not None:
                self.state = self._next_state
            if type(event) in _TURNS:
                self._turn(event, reply)
        return reply.encoded

    def _answer_data(self, reply: Reply) -> bytes:
        """Expect content, or close if it is here already: it could be read as commands."""
        self.state = State.READY
        if self._limits.synchronised and (self._incoming or self._at != len(self._buffer)):
            if reply.code < 400:
                reply = r.NOT_SYNCHRONISED
            self.last_words = reply
        elif reply.code < 400:
            self._reader = DotReader(self._limits.message_size)
        return reply.encoded

    def _turn(self, event: Event, reply: Reply) -> None:
        """Expect what follows a command of `_TURNS` that was not refused."""
        if type(event) is StartTls:
            self._event = _SWITCHING
        elif reply.code == r.CONTINUE_AUTH:
            self._reader = _RESPONSE
        else:
            self.authenticated = type(event) is not Xclient

    def _gather(self) -> None:
        self._buffer = b"".join((self._buffer[self._at :], *self._incoming))
        self._at = 0
        self._incoming.clear()

    def _read_command(self) -> Event | None:
        buffer, at, limit = self._buffer, self._at, self._limits.command_line
        end = buffer.find(b"\n", at)
        if end < 0:
            return Fault(r.LINE_TOO_LONG) if len(buffer) - at >= limit else None
        if end - at >= limit:
            return Fault(r.LINE_TOO_LONG)
        if end == at or buffer[end - 1] != _CR:
            return Fault(r.BAD_LINE_ENDING)
        self._at = end + 1
        return self._parse(buffer[at : end - 1])

    def _read_content(self) -> Event | None:
        if self._reader is None:
            return None
        event, self._at = self._reader.ingest(self._buffer, self._at)
        if event is not None and type(event) is not Content:
            self._reader = None
            if type(event) is MessageFault and self.state is State.CHUNKING:
                self.state = State.SPOILED
        return event

    def _parse(self, line: bytes) -> Event | None:
        self._next_state = None
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return _unreadable(line)
        if not text.isprintable():
            return _unreadable(line)
        verb, _, argument = text.partition(" ")
        command = self._commands.get(verb) or self._less_common(verb)
        if command is None:
            return _unknown(verb, argument)
        if self._at != len(self._buffer) and self._limits.synchronised and self._too_early(command):
            return Fault(r.NOT_SYNCHRONISED)
        following = command.transitions[self.state]
        if isinstance(following, Reply):
            return self._out_of_order(command, argument, following)
        event = command.parse(self, argument)
        if type(event) is Bdat:
            return self._check_chunk(event)
        self._next_state = following
        return event

    def _too_early(self, command: Command) -> bool:
        """Whether what stands behind a command may not be there before its reply."""
        return command.event in LAST or (self.plain and command.event is not Bdat)

    def _less_common(self, verb: str) -> Command | None:
        """Look up a verb that is not in upper case, or that not every listener has."""
        if not verb.isascii():
            return None  # `upper` makes ASCII of some letters that are not
        verb = verb.upper()
        if verb in self.after_tls:
            return self.offered[verb]._replace(parse=parse_auth_in_clear)
        return self._commands.get(verb) or (
            self.offered.get(verb) if verb in self.extensions else None
        )

    def _out_of_order(self, command: Command, argument: str, reply: Reply) -> Event | None:
        """Answer a command that may not come now; BDAT's chunk is still to be read.

        Other arguments are not looked at, so the command leaves no trace.
        """
        if command.event is not Bdat:
            return Fault(reply)
        event = command.parse(self, argument)
        if type(event) is not Bdat:
            return event
        in_transaction = self.state is State.MAIL
        self._swallow(event, MessageFault(reply) if in_transaction else Fault(reply))
        return None

    def _check_chunk(self, chunk: Bdat) -> Event | None:
        """Refuse what need not be asked about: empty chunks, and messages over the limit."""
        if chunk.first:
            self._chunks = ChunkReader(self._limits.message_size)
            self._dropped = 0
        if chunk.size == 0 and not chunk.last:
            self._swallow(chunk, MessageFault(r.BDAT_EMPTY))
        elif not self._chunks.fits(chunk.size):
            self._swallow(chunk, MessageFault(r.TOO_BIG))
        else:
            return chunk
        return None

    def _answer_chunk(self, chunk: Bdat, reply: Reply) -> bytes:
        if reply.code == r.START_MAIL_INPUT.code:
            self.state = State.READY if chunk.last else State.CHUNKING
            self._chunks.begin(chunk.size, last=chunk.last)
            self._reader = self._chunks
            return b""
        self._swallow(chunk, ChunkRefused(reply))
        return reply.encoded if reply.close else b""

    def _swallow(self, chunk: Bdat, outcome: Event) -> None:
        """Drop the chunk, with `outcome` to follow; close if that would go on for too long."""
        self.state = AFTER_REFUSED_BDAT[self.state][chunk.last]
        self._dropped += chunk.size
        if self._dropped <= self._limits.message_size * SWALLOW_FACTOR:
            self._reader = Swallow(chunk.size, outcome)
        else:
            self._reader = Swallow(0, MessageFault(r.TOO_BIG_CLOSING))


def _unreadable(line: bytes) -> Event:
    if b"\r" in line:
        return Fault(r.BAD_LINE_ENDING)
    return Fault(r.BDAT_SYNTAX if line[:4].upper() == b"BDAT" else r.BAD_CHARACTERS)


def _unknown(verb: str, argument: str) -> Event:
    if not _VERB.fullmatch(verb):
        return Fault(r.NO_COMMAND)
    verb = verb.upper()
    return Fault(r.NOT_SMTP) if verb in FOREIGN_VERBS else Unknown(verb, argument)
