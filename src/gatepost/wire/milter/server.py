"""The filter's side of the milter protocol, bytes in and events out.

Contract
--------
It is that of `gatepost.wire.protocol`. The events are those of SMTP as far as they fit, each within
`Reported`, and those of `gatepost.wire.milter.events`. Header fields, the end of the header block
and pieces of the body are content: `Content` if the mail server expects no response, else `Piece`.
A refusal of a `Piece` is the reply to the message, and ends it.

Replies below 400 continue. The text of such a reply is lost, because the mail server has its own.
A refusal is sent with its text. If the mail server expects no response to a command, the refusal is
the response to the next one. A `ChangedReply` to the end of the message has changes.

Up to version 3 there is no DATA command: then the `Data` event comes in front of the first piece of
content, and its refusal is the response to that.

Security: a packet that is malformed or out of order is a `Fault`, and the wire is closed after it:
the mail server and the filter could disagree about what they talk about. TLS, passwords and the end
of a line are the mail server's.
Limits: those of `gatepost.wire.milter.packets`, and `message_size` octets of content.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.events import Event
from gatepost.wire.milter import codes as c
from gatepost.wire.milter import envelope
from gatepost.wire.milter.changes import Changes
from gatepost.wire.milter.content import MilterContent
from gatepost.wire.milter.events import Negotiate, Piece, Reported, SessionEnd
from gatepost.wire.milter.packets import PacketBuffer, PacketError, macros, strings, text
from gatepost.wire.milter.replies import CONTINUE, DISCARD, PROGRESS, SKIP, ChangedReply, refusal
from gatepost.wire.milter.terms import NO_TERMS, Needs, agree
from gatepost.wire.protocol import NEED_DATA, PAUSED, MtaWire, ProtocolError, Signal

# The mail server whose client for milters takes signs of progress at every command.
_PATIENT: Final = "Postfix"
_MAX_VERB: Final = 16


class State(IntEnum):
    """The position in the sequence of commands."""

    NEW = 0
    READY = 1
    SESSION = 2
    MAIL = 3
    CONTENT = 4


_IN_SESSION: Final = (State.SESSION, State.MAIL)
_CONNECTED: Final = (State.READY, *_IN_SESSION, State.CONTENT)


class Command(NamedTuple):
    """A command: the states that it may come in, the state after it, its parser.

    `refused` is the state after a refusal; None is the state before. Without `answered` it never
    has a response.
    """

    states: tuple[State, ...]
    following: State | None
    refused: State | None
    parse: Callable[["MilterServer", bytes], Event]
    answered: bool = True


class MilterServer(MtaWire):
    """The filter's side of one connection. See the module for the contract."""

    __slots__ = (
        "_command",
        "_content",
        "_ended",
        "_ending",
        "_event",
        "_held",
        "_input",
        "_macros",
        "_message_size",
        "_needs",
        "_owed",
        "_patient",
        "_silent",
        "state",
        "terms",
    )

    def __init__(self, message_size: int, needs: Needs) -> None:
        self._message_size = message_size
        self._needs = needs
        self._input = PacketBuffer()
        self._event: Event | None = None
        self._command = b""
        self._content: MilterContent | None = None
        self._held = b""
        self._macros: dict[bytes, Mapping[str, str]] = {}
        self._owed: Reply | None = None
        self._patient = False
        self._silent: frozenset[bytes] = frozenset()
        self._ending = self._ended = False
        self.state = State.NEW
        self.terms = NO_TERMS

    @property
    def unread(self) -> int:
        """Return the number of octets received and not yet interpreted."""
        return self._input.unread

    @property
    def closed(self) -> bool:
        """Return whether the mail server has ended the connection, or has broken the protocol."""
        return self._ended

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the mail server."""
        self._input.append(data)

    def next_event(self) -> Event | Signal:
        """Return the next event or signal."""
        if self._event is not None or self._ended:
            return PAUSED
        try:
            event = self._read()
        except PacketError as error:
            event = self._fault(str(error))
        if event is None:
            return NEED_DATA
        if type(event) is not e.Content:
            self._event = event
        return event

    def _read(self) -> Event | None:
        """Return the next event, after the macros in front of it."""
        while True:
            packet = self._held or self._input.next()
            self._held = b""
            if packet is None:
                return None
            command, data = packet[:1], packet[1:]
            if command != c.MACROS:
                return self._parse(command, data)
            if data[:1] in COMMANDS:
                self._macros[data[:1]] = macros(data[1:])

    def _parse(self, command: bytes, data: bytes) -> Event:
        row = COMMANDS.get(command)
        if row is None:
            return self._fault(f"unknown command {command!r}")
        if self.state not in row.states:
            return self._fault(f"command {command!r} out of order")
        self._command = command
        if command in _CONTENT and self.state is State.MAIL:
            return self._implied_data(command, data)
        return row.parse(self, data)

    def _implied_data(self, command: bytes, data: bytes) -> Event:
        """Return the event in front of the first content of an old mail server."""
        if self.terms.with_data:
            return self._fault(f"command {command!r} without DATA")
        self._held = command + data
        return Reported(e.Data())

    def _fault(self, problem: str) -> Event:
        self._ending = True
        return e.Fault(Reply(500, f"Milter protocol: {problem}", "5.5.2"))

    def send(self, reply: Reply) -> bytes:
        """Answer the last event and return the bytes to send. Raises `ProtocolError`."""
        event, self._event = self._event, None
        if event is None:
            raise ProtocolError("there is no event to answer")
        if self._ending:
            self._ended = True
            return b""
        row = COMMANDS[self._command]
        if self._held:
            return self._answer_implied_data(reply)
        following = row.following if reply.code < 400 else row.refused
        if following is not None:
            self.state = following
        return self._respond(event, reply) if row.answered else b""

    def _answer_implied_data(self, reply: Reply) -> bytes:
        if reply.code < 400:
            self._begin_content()
            return b""
        self._held = b""
        return refusal(reply)

    def _respond(self, event: Event, reply: Reply) -> bytes:
        if self._command in self._silent:
            if reply.code >= 400:
                self._owed = reply
            return b""
        if self._owed is not None and reply.code < 400:
            reply = self._owed
        self._owed = None
        if reply.code >= 400:
            return refusal(reply)
        if type(event) is Negotiate:
            return self.terms.encoded
        if isinstance(reply, ChangedReply):
            return self._change(reply.changes)
        return SKIP if self._skips else CONTINUE

    @property
    def _skips(self) -> bool:
        """Return whether the mail server is to leave out the rest of the body."""
        can_skip = self._command == c.BODY and self.terms.steps & c.CAN_SKIP
        return bool(can_skip) and self._content is not None and self._content.skips

    def _change(self, changes: Changes) -> bytes:
        if changes.discard:
            return DISCARD
        responses = changes.encoded(
            leading=bool(self.terms.steps & c.LEADING_SPACE),
            with_params=bool(self.terms.actions & c.CAN_ADD_RECIPIENTS_WITH_PARAMS),
            with_sender=bool(self.terms.actions & c.CAN_CHANGE_SENDER),
        )
        return responses + CONTINUE

    def progress(self) -> bytes:
        """Return what lets the mail server wait longer for the next reply, b"" for nothing."""
        waits = self._event is not None and self._command not in self._silent
        if waits and (self._patient or self._command == c.END_OF_MESSAGE):
            return PROGRESS
        return b""

    # Parsers of packets, in the order of a session: the table COMMANDS calls them

    def _reported(self, event: Event) -> Event:
        return Reported(event, self._macros.pop(self._command, _NO_MACROS))

    def negotiate(self, data: bytes) -> Event:
        """Read the offer of the mail server."""
        self.terms = agree(data, self._needs)
        self._silent = self.terms.silent
        return Negotiate()

    def connect(self, data: bytes) -> Event:
        """Read a client."""
        software = self._macros.get(c.CONNECT, _NO_MACROS).get("v", "")
        self._patient = software.startswith(_PATIENT)
        return self._reported(envelope.client(data))

    def helo(self, data: bytes) -> Event:
        """Read the name of a client."""
        return self._reported(e.Helo(strings(data)[0]))

    def mail(self, data: bytes) -> Event:
        """Read a sender."""
        argument, *words = strings(data)
        params = envelope.params("MAIL", words)
        return self._reported(e.Mail(envelope.path("MAIL", argument), params))

    def rcpt(self, data: bytes) -> Event:
        """Read a recipient, and the refusal of the mail server if there is one."""
        argument, *words = strings(data)
        refused = envelope.refusal(self._macros.get(c.RCPT, _NO_MACROS))
        params = envelope.params("RCPT", words)
        return self._reported(e.Rcpt(envelope.path("RCPT", argument), params, refused))

    def data(self, _data: bytes) -> Event:
        """Read DATA."""
        self._begin_content()
        return self._reported(e.Data())

    def _begin_content(self) -> None:
        leading = bool(self.terms.steps & c.LEADING_SPACE)
        body = self._needs.body
        self._content = MilterContent(self._message_size, leading=leading, body=body)
        self.state = State.CONTENT

    def field(self, data: bytes) -> Event:
        """Read a header field."""
        assert self._content is not None
        return self._piece(self._content.field(data))

    def end_of_fields(self, _data: bytes) -> Event:
        """Read the end of the header block."""
        assert self._content is not None
        return self._piece(self._content.end_of_fields())

    def body(self, data: bytes) -> Event:
        """Read a piece of the body."""
        assert self._content is not None
        return self._piece(self._content.body(data))

    def _piece(self, data: bytes) -> Event:
        return e.Content(data) if self._command in self._silent else Piece(data)

    def end_of_message(self, data: bytes) -> Event:
        """Return the end of the message; the packet can have the last piece of the body."""
        assert self._content is not None
        piece = self._content.body(data) if data else b""
        if piece:
            self._held = c.END_OF_MESSAGE
            return e.Content(piece)
        return self._reported(self._content.end())

    def abort(self, _data: bytes) -> Event:
        """Read the end of a transaction."""
        self._macros.clear()
        if self.state is not State.READY:
            self.state = State.SESSION
        return Reported(e.Rset())

    def unknown(self, data: bytes) -> Event:
        """Read a command that the mail server does not recognise."""
        verb, _, rest = text(data.rstrip(b"\0\r\n")).partition(" ")
        return self._reported(e.Unknown(verb[:_MAX_VERB], rest))

    def reuse(self, _data: bytes) -> Event:
        """Read the end of a session."""
        self._macros.clear()
        return SessionEnd()

    def quit(self, _data: bytes) -> Event:
        """Read the end of the connection."""
        self._ending = True
        return SessionEnd()


_NO_MACROS: Final[Mapping[str, str]] = {}
_CONTENT: Final = frozenset({c.HEADER, c.END_OF_HEADERS, c.BODY, c.END_OF_MESSAGE})
_WITH_CONTENT: Final = (State.MAIL, State.CONTENT)

S = State
M = MilterServer
COMMANDS: Final[dict[bytes, Command]] = {
    c.NEGOTIATE: Command((S.NEW,), S.READY, None, M.negotiate),
    c.CONNECT: Command((S.READY,), S.SESSION, S.SESSION, M.connect),
    c.HELO: Command(_IN_SESSION, S.SESSION, None, M.helo),
    c.MAIL: Command(_IN_SESSION, S.MAIL, S.SESSION, M.mail),
    c.RCPT: Command((S.MAIL,), None, None, M.rcpt),
    c.DATA: Command((S.MAIL,), S.CONTENT, S.MAIL, M.data),
    c.HEADER: Command(_WITH_CONTENT, None, S.SESSION, M.field),
    c.END_OF_HEADERS: Command(_WITH_CONTENT, None, S.SESSION, M.end_of_fields),
    c.BODY: Command(_WITH_CONTENT, None, S.SESSION, M.body),
    c.END_OF_MESSAGE: Command(_WITH_CONTENT, S.SESSION, S.SESSION, M.end_of_message),
    c.UNKNOWN: Command(_IN_SESSION, None, None, M.unknown),
    c.ABORT: Command(_CONNECTED, None, None, M.abort, answered=False),
    c.QUIT_AND_REUSE: Command(_CONNECTED, S.READY, S.READY, M.reuse, answered=False),
    c.QUIT: Command((S.NEW, *_CONNECTED), None, None, M.quit, answered=False),
}
