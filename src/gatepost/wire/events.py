"""What the client did, as values.

Every command is an event of its own class; what follows DATA and BDAT arrives as `Content`. Each
event but `Content` waits for `SmtpServer.send`.
"""

import msgspec

from gatepost.model.address import Address
from gatepost.model.reply import Reply


class Event(msgspec.Struct, frozen=True, gc=False):
    """The base of all events."""


class Connected(Event, frozen=True):
    """The client has connected: answer with the greeting, or with a refusal."""


class Ehlo(Event, frozen=True):
    """EHLO, or LHLO in LMTP: `name` is the client's domain or literal, as sent."""

    name: str


class Helo(Event, frozen=True):
    """HELO: as EHLO, without extensions."""

    name: str


class Mail(Event, frozen=True):
    """MAIL: `path` is the reverse-path, `params` the ESMTP parameters by upper-case keyword."""

    path: Address
    params: dict[str, str]


class Rcpt(Event, frozen=True):
    """RCPT: `path` is the forward-path; `<postmaster>` has no domain."""

    path: Address
    params: dict[str, str]


class Data(Event, frozen=True):
    """DATA: answer 354 and the content follows, anything else and the transaction is over."""


class Bdat(Event, frozen=True):
    """BDAT (RFC 3030): answer 354 and the chunk follows – the client is not sent that reply.

    Any other reply is held back until the chunk of `size` octets has been read and dropped.
    """

    size: int
    last: bool
    first: bool


class Content(Event, frozen=True):
    """A piece of the message: pure (CRLF only, no NUL), dot-stuffing undone. Takes no reply."""

    data: bytes


class ChunkEnd(Event, frozen=True):
    """A chunk that is not the last has been received."""


class EndOfMessage(Event, frozen=True):
    """The whole message has been received."""


class MessageFault(Event, frozen=True):
    """The content has been read to its end, or as far as it will be, but cannot be taken.

    The transaction is over; answer with `reply`.
    """

    reply: Reply


class Rset(Event, frozen=True):
    """RSET."""


class Noop(Event, frozen=True):
    """NOOP, its argument unread."""


class Vrfy(Event, frozen=True):
    """VRFY with its argument."""

    text: str


class Expn(Event, frozen=True):
    """EXPN with its argument."""

    text: str


class Help(Event, frozen=True):
    """HELP with its argument."""

    text: str


class StartTls(Event, frozen=True):
    """STARTTLS (RFC 3207): answer 220 and the handshake follows, see `SmtpServer.start_tls`."""


class Auth(Event, frozen=True):
    """AUTH (RFC 4954): `initial` is the decoded initial response, None if there is none.

    Answer 334 and an `AuthResponse` follows; 235 says that the client is who it says it is.
    """

    mechanism: str
    initial: bytes | None

    def __repr__(self) -> str:
        return f"Auth({self.mechanism!r}, ...)"  # the response may be a password


class AuthResponse(Event, frozen=True):
    """The decoded response to a 334: answer as for `Auth`."""

    data: bytes

    def __repr__(self) -> str:
        return "AuthResponse(...)"


class Quit(Event, frozen=True):
    """QUIT."""


class Xclient(Event, frozen=True):
    """XCLIENT: who the client really is, by upper-case attribute; see `wire.smtp.xclient`."""

    attributes: dict[str, str]


class Unknown(Event, frozen=True):
    """A command that is not in the table; `verb` is printable ASCII of at most 16 characters."""

    verb: str
    text: str


class Fault(Event, frozen=True):
    """The client broke the protocol: answer with `reply`, which says how."""

    reply: Reply


class ChunkRefused(Event, frozen=True):
    """The reply to a refused BDAT, whose chunk has now been dropped: answer with `reply`."""

    reply: Reply
