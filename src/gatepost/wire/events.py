"""Events: the input of the client, as values.

Each command is an event with its own class. The data after DATA and BDAT arrives as `Content`.
Every event except `Content` waits for `SmtpServer.send`.
"""

import msgspec

from gatepost.model.address import Address
from gatepost.model.reply import Reply


class Event(msgspec.Struct, frozen=True, gc=False):
    """The base of all events."""


class Connected(Event, frozen=True):
    """The client has connected. Answer with the greeting or a refusal."""


class Ehlo(Event, frozen=True):
    """EHLO, or LHLO in LMTP. `name` is the domain or address literal of the client, as sent."""

    name: str


class Helo(Event, frozen=True):
    """HELO: like EHLO, without extensions."""

    name: str


class Mail(Event, frozen=True):
    """MAIL. `path` is the reverse-path, `params` are the parameters by upper-case keyword."""

    path: Address
    params: dict[str, str]


class Rcpt(Event, frozen=True):
    """RCPT. `path` is the forward-path; `<postmaster>` has no domain.

    `refusal` is the reply of the mail server that asks, if it refuses the recipient itself.
    """

    path: Address
    params: dict[str, str]
    refusal: Reply | None = None


class Data(Event, frozen=True):
    """DATA. After a 354 reply the content follows; any other reply ends the transaction."""


class Bdat(Event, frozen=True):
    """BDAT (RFC 3030). After a 354 reply the chunk follows; that reply is not sent to the client.

    Any other reply is held back until the chunk of `size` octets is read and discarded.
    """

    size: int
    last: bool
    first: bool


class Content(Event, frozen=True):
    """A piece of the message: CRLF only, no NUL, no dot-stuffing. It takes no reply.

    An empty piece stands for content that is discarded, so that the caller can do something else.
    """

    data: bytes


class ChunkEnd(Event, frozen=True):
    """A chunk that is not the last was received."""


class EndOfMessage(Event, frozen=True):
    """The whole message was received."""


class MessageFault(Event, frozen=True):
    """The content is refused. It was read to its end, or as far as it will be.

    The transaction is over. Answer with `reply`.
    """

    reply: Reply


class Rset(Event, frozen=True):
    """RSET."""


class Noop(Event, frozen=True):
    """NOOP with its argument, which has no effect."""

    text: str = ""


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
    """STARTTLS (RFC 3207). After a 220 reply do the handshake, see `SmtpServer.start_tls`."""


class Auth(Event, frozen=True):
    """AUTH (RFC 4954). `initial` is the decoded initial response, or None if there is none.

    After a 334 reply an `AuthResponse` follows. A 235 reply means that the client is authenticated.
    """

    mechanism: str
    initial: bytes | None

    def __repr__(self) -> str:
        return f"Auth({self.mechanism!r}, ...)"  # the response may be a password


class AuthResponse(Event, frozen=True):
    """The decoded response to a 334 reply. Answer as for `Auth`."""

    data: bytes

    def __repr__(self) -> str:
        return "AuthResponse(...)"


class Quit(Event, frozen=True):
    """QUIT."""


class Xclient(Event, frozen=True):
    """XCLIENT: the real client, by upper-case attribute; see `wire.smtp.xclient`."""

    attributes: dict[str, str]


class Unknown(Event, frozen=True):
    """An unknown command. `verb` is printable ASCII of at most 16 characters."""

    verb: str
    text: str


class Added(Event, frozen=True):
    """A command that a plugin adds, in upper case, with its argument."""

    verb: str
    text: str


class IdleAdded(Added, frozen=True):
    """A command that a plugin adds, which counts as a command without a message."""


class Fault(Event, frozen=True):
    """The client broke the protocol. Answer with `reply`, which gives the reason."""

    reply: Reply


class ChunkRefused(Event, frozen=True):
    """The chunk of a refused BDAT is discarded now. Answer with `reply`."""

    reply: Reply
