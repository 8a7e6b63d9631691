"""The receiving side of SMTP, bytes in and events out: RFC 5321, 2920, 3030, 6531.

Contract
--------
`receive_data(bytes)` only buffers. `next_event()` returns an event, NEED_DATA if more input is
needed, or PAUSED while an event waits for its reply. `send(reply)` answers the event and returns
the bytes to send, possibly none. The first event, `Connected`, needs no input: its reply is the
greeting. Replies therefore leave in the order of the commands, however these were pipelined. No
input is interpreted before the command in front of it is answered.

`next_event` never raises because of the input: a protocol error of the client is a `Fault`.
`ProtocolError` means that the caller broke this contract.

After a 220 reply to STARTTLS (RFC 3207), `switching` is true and `next_event` returns PAUSED until
the caller has done the handshake and calls `start_tls()`. From then on `receive_data` takes
decrypted input, and the session starts again. Keywords in `after_tls` then join `extensions`;
before, their commands are refused.

A 334 reply to AUTH (RFC 4954) is followed by an `AuthResponse`, or by a `Fault` that ends the
exchange.

The events do not depend on how the input is cut into pieces, with two exceptions: the cuts of
`Content`, and how much of it comes before a `MessageFault`.

With `WireLimits.synchronised` a client may send commands ahead only as RFC 2920 allows: none behind
a command of `LAST`, and none at all after HELO. This check depends on when the input arrives. It
never affects a client that waits for replies when RFC 2920 requires it.

Security: no input from before STARTTLS is interpreted after it (CVE-2011-0411): if anything follows
the command, it is refused and the session closed. A line must end with CRLF. A bare CR or LF closes
the session, because another server may read the following input differently.
Limits: a command line of `WireLimits.command_line` octets, a message of `message_size`. Unread
input is limited by how much the caller feeds while PAUSED; `unread` is its size.
"""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from gatepost.model.additions import Additions, Verb
from gatepost.model.reply import Reply
from gatepost.model.structs import Frozen
from gatepost.wire.events import (
    Added,
    Auth,
    AuthResponse,
    Bdat,
    ChunkRefused,
    Connected,
    Content,
    Data,
    Ehlo,
    Event,
    Fault,
    Helo,
    IdleAdded,
    Mail,
    MessageFault,
    StartTls,
    Unknown,
    Xclient,
)
from gatepost.wire.protocol import NEED_DATA, PAUSED, ProtocolError, Signal, Wire
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.agreed import Agreed, State
from gatepost.wire.smtp.auth import ResponseReader
from gatepost.wire.smtp.chunks import ChunkReader, Chunks, Discard
from gatepost.wire.smtp.commands import (
    AFTER_REFUSED_BDAT,
    COMMANDS,
    FOREIGN_VERBS,
    OFFERED_COMMANDS,
    Command,
    enabled,
    ends_group,
)
from gatepost.wire.smtp.content import DotReader
from gatepost.wire.smtp.input_buffer import InputBuffer
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS, OPTIONAL_COMMANDS
from gatepost.wire.smtp.syntax.path import LENIENT

Reader = DotReader | ChunkReader | Discard | ResponseReader

# Octets of content that are discarded between two events, unless one piece has more.
MAX_DISCARDED: Final = 16 * 1024

_READY: Final = State.READY
_MAIL: Final = State.MAIL
_CHUNKING: Final = State.CHUNKING
_SPOILED: Final = State.SPOILED
_VERB: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,15}")
# `Connected` needs no input. This reader discards nothing, so all connections share it.
_GREETING: Final = Discard(0, Connected())
# The unanswered event during the TLS handshake.
_SWITCHING: Final = StartTls()
_RESPONSE: Final = ResponseReader()
_DISCARDED: Final = Content(b"")
# Events whose reply changes more than the state.
_EFFECTS: Final = frozenset({Ehlo, Helo, Mail, Data, Bdat, StartTls, Auth, AuthResponse, Xclient})


class WireLimits(Frozen, frozen=True):
    """Limits in octets, and whether input that is sent too early is refused.

    RFC 5321 section 4.5.3.1.4 requires command lines of 512 octets; extensions lengthen them.
    Postfix also takes 2,048.
    """

    command_line: int = 2048
    message_size: int = 25 * 1024 * 1024
    synchronised: bool = False


class SmtpServer(Wire):
    """The receiving side of one connection. See the module for the contract.

    `commands` are the rows of the protocol by verb; `paths` and `extensions` are described at
    `Agreed`. `last_words` is the closing reply that was sent. Of `agreed` the caller may set
    `after_tls`, `bare_lf` and `additions`. `refuse` is called with a refusal that replaces the
    caller's reply; the caller may set it, to record the refusal. It returns the refusal to send.
    """

    __slots__ = (
        "_chunks",
        "_commands",
        "_event",
        "_input",
        "_limits",
        "_next_state",
        "_reader",
        "agreed",
        "last_words",
        "refuse",
    )

    # Rows of commands that exist only while their extension is enabled.
    offered: ClassVar[Mapping[str, Command]] = OFFERED_COMMANDS

    def __init__(
        self,
        limits: WireLimits,
        paths: Mapping[str, re.Pattern[str]] = LENIENT,
        extensions: frozenset[str] = EXTENSIONS,
        commands: dict[str, Command] = COMMANDS,
    ) -> None:
        self._commands = commands
        self._limits = limits
        self._input = InputBuffer()
        self.agreed = Agreed(paths, extensions)
        self.last_words: Reply | None = None
        self.refuse: Callable[[Reply], Reply] = unrecorded
        self._event: Event | None = None
        self._next_state: State | None = None
        self._reader: Reader | None = _GREETING
        self._chunks: Chunks | None = None

    @property
    def unread(self) -> int:
        """Return the number of octets received and not yet interpreted."""
        return self._input.unread

    @property
    def closed(self) -> bool:
        """Return whether a closing reply (`last_words`) was sent. No further input is read."""
        return self.last_words is not None

    @property
    def switching(self) -> bool:
        """Return whether STARTTLS was accepted and the handshake is not done yet."""
        return self._event is _SWITCHING

    @property
    def receiving(self) -> bool:
        """Return whether the client is in the middle of a message."""
        return self._reader is not None and self._reader is not _RESPONSE

    @property
    def state(self) -> State:
        """Return the position in the command sequence."""
        return self.agreed.state

    @property
    def extensions(self) -> frozenset[str]:
        """Return the keywords that are understood. A new value applies to the next command."""
        return self.agreed.extensions

    @extensions.setter
    def extensions(self, keywords: frozenset[str]) -> None:
        self.agreed.extensions = keywords

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the client."""
        self._input.append(data)

    def start_tls(self) -> None:
        """Start again after the handshake: drop the input and the terms agreed in cleartext."""
        self.agreed.start_tls()
        self._event = None
        self._input.clear()

    def next_event(self) -> Event | Signal:
        """Return the next event or signal."""
        if self._event is not None or self.last_words is not None:
            return PAUSED
        source = self._input
        event: Event | None
        if self._reader is not None:
            event = self._read_content(self._reader)
        elif source.at == len(source.data) and source.later is None:
            if source.at:
                source.release()
            return NEED_DATA
        else:
            line = source.next_line(self._limits.command_line)
            if type(line) is bytes:
                event = self._parse(line)
            elif type(line) is Reply:
                event = Fault(line)
            else:
                return NEED_DATA
        if event is None:
            return NEED_DATA
        if type(event) is not Content:
            self._event = event
        return event

    def send(self, reply: Reply) -> bytes:
        """Answer the last event and return the bytes to send. Raises `ProtocolError`."""
        event = self._event
        if event is None:
            raise ProtocolError("there is no event to answer")
        self._event = None
        if reply.close:
            self.last_words = reply
        if type(event) in _EFFECTS:
            return self._apply(event, reply)
        if self._next_state is not None and reply.code < 400:
            self.agreed.state = self._next_state
        return reply.encoded

    def _apply(self, event: Event, reply: Reply) -> bytes:
        """Apply the effects of the reply to a command of `_EFFECTS`."""
        kind = type(event)
        if kind is Data:
            return self._answer_data(reply)
        if type(event) is Bdat:
            return self._answer_chunk(event, reply)
        if reply.code < 400:
            agreed = self.agreed
            if self._next_state is not None:
                agreed.state = self._next_state
            if type(event) is Mail:
                agreed.smtputf8 = "SMTPUTF8" in event.params
            elif kind is Ehlo or kind is Helo:
                agreed.plain = kind is Helo
            else:
                self._turn(event, reply)
        return reply.encoded

    def _turn(self, event: Event, reply: Reply) -> None:
        """Apply the effects of an accepted STARTTLS, XCLIENT, AUTH or response to AUTH."""
        if type(event) is StartTls:
            self._event = _SWITCHING
        elif reply.code == r.CONTINUE_AUTH:
            self._reader = _RESPONSE
        else:
            self.agreed.authenticated = type(event) is not Xclient

    def _answer_data(self, reply: Reply) -> bytes:
        """Expect content. Close if it is here already: it could be read as commands."""
        self.agreed.state = _READY
        if self._limits.synchronised and self._input.unread:
            if reply.code < 400:
                reply = self.refuse(r.NOT_SYNCHRONISED)
            self.last_words = reply
        elif reply.code < 400:
            self._reader = DotReader(self._limits.message_size, bare_lf=self.agreed.bare_lf)
        return reply.encoded

    def _read_content(self, reader: Reader) -> Event | None:
        """Return the next event of the content; an empty piece if much of it is discarded."""
        event, discarded = reader.read(self._input), 0
        while event is None and self._input.advance():
            discarded += len(self._input.data)
            if discarded >= MAX_DISCARDED:
                return _DISCARDED
            event = reader.read(self._input)
        if event is not None and type(event) is not Content:
            self._reader = None
            if type(event) is MessageFault and self.agreed.state is _CHUNKING:
                self.agreed.state = _SPOILED
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
            return _unknown(verb, argument, self.agreed.additions)
        agreed = self.agreed
        if self._limits.synchronised and self._input.unread and ends_group(command, agreed):
            return Fault(r.NOT_SYNCHRONISED)
        following = command.transitions[agreed.state]
        if not isinstance(following, State):
            return self._out_of_order(command, argument, following)
        event = command.parse(agreed, argument)
        if type(event) is Bdat:
            return self._begin_chunk(event)
        self._next_state = following
        return event

    def _less_common(self, verb: str) -> Command | None:
        """Look up a verb that is not in upper case, or the command of an optional extension."""
        if not verb.isascii():
            return None  # `upper` turns some non-ASCII letters into ASCII
        verb = verb.upper()
        if verb not in OPTIONAL_COMMANDS:
            return self._commands.get(verb)
        self.agreed.followed = self._input.unread > 0
        return enabled(self.offered, verb, self.agreed)

    def _out_of_order(self, command: Command, argument: str, reply: Reply) -> Event | None:
        """Refuse a command of the wrong state, unparsed. The chunk of BDAT is still discarded."""
        if command.event is not Bdat:
            return Fault(reply)
        event = command.parse(self.agreed, argument)
        return self._begin_chunk(event, reply) if type(event) is Bdat else event

    def _begin_chunk(self, chunk: Bdat, refusal: Reply | None = None) -> Event | None:
        """Return the chunk as an event, or discard it if it is out of order or over a limit."""
        if self._chunks is None:
            self._chunks = Chunks(self._limits.message_size)
        fault = refusal or self._chunks.check(chunk, bare_lf=self.agreed.bare_lf)
        if fault is None:
            return chunk
        in_transaction = refusal is None or self.agreed.state is _MAIL
        self._discard(chunk, MessageFault(fault) if in_transaction else Fault(fault))
        assert self._reader is not None
        return self._read_content(self._reader)

    def _answer_chunk(self, chunk: Bdat, reply: Reply) -> bytes:
        assert self._chunks is not None
        if reply.code == r.START_MAIL_INPUT.code:
            self.agreed.state = _READY if chunk.last else _CHUNKING
            self._reader = self._chunks.accept(chunk)
            return b""
        self._discard(chunk, ChunkRefused(reply))
        return reply.encoded if reply.close else b""

    def _discard(self, chunk: Bdat, outcome: Event) -> None:
        """Read and drop the chunk, and return `outcome` after it."""
        assert self._chunks is not None
        agreed = self.agreed
        agreed.state = AFTER_REFUSED_BDAT[agreed.state][chunk.last]
        self._reader = self._chunks.discard(chunk, outcome)


def unrecorded(reply: Reply) -> Reply:
    """Return a refusal as it is: for a wire whose refusals are not recorded."""
    return reply


def _unreadable(line: bytes) -> Event:
    if b"\r" in line:
        return Fault(r.BAD_LINE_ENDING)
    return Fault(r.BDAT_SYNTAX if line[:4].upper() == b"BDAT" else r.BAD_CHARACTERS)


def _unknown(verb: str, argument: str, additions: Additions) -> Event:
    if not _VERB.fullmatch(verb):
        return Fault(r.NO_COMMAND)
    verb = verb.upper()
    added = additions.verbs.get(verb)
    if added is not None:
        return _added(verb, argument, added)
    return Fault(r.NOT_SMTP) if verb in FOREIGN_VERBS else Unknown(verb, argument)


def _added(verb: str, argument: str, row: Verb) -> Event:
    """Return the event of a command that a plugin adds."""
    if row.max_arguments is not None and len(argument.split()) > row.max_arguments:
        return Fault(r.TOO_MANY_ARGUMENTS if row.max_arguments else r.NO_ARGUMENT)
    return IdleAdded(verb, argument) if row.junk else Added(verb, argument)
