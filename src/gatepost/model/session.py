"""What is known of a client and of the message it is sending: facts for policy, nothing to do.

Plugins read these; `notes` is theirs to write.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.proxy import ProxyHeader
from gatepost.model.reply import Reply


class TlsFacts(msgspec.Struct, frozen=True):
    """What a TLS handshake agreed on and showed.

    `version` is such as "TLSv1.3", `cipher` OpenSSL's name of the suite, `sni` the server name the
    client asked for ("" if none). A client certificate that one of `[tls] client_ca` vouches for
    is `peer_subject`, such as "CN=mail.example.org", and `peer_fingerprint`, the SHA-256 of it in
    hexadecimal; both are "" if the client gave none.
    """

    version: str
    cipher: str
    sni: str = ""
    peer_subject: str = ""
    peer_fingerprint: str = ""


class AuthFacts(msgspec.Struct, frozen=True):
    """Who a client has proven to be: `user` as the server knows it, and the SASL `mechanism`."""

    user: str
    mechanism: str


class Session(msgspec.Struct, eq=False):
    """One client connection.

    `helo` is the argument of HELO, EHLO or LHLO ("" before it), `extended` whether it was not HELO,
    `protocol` what is spoken ("smtp" or "lmtp"), `tls` what is known of the encryption (None in the
    clear), `notes` a plugin's memory for as long as the connection lives: STARTTLS, after which a
    client begins anew, leaves them alone. `auth` is who the client is (None before AUTH).

    `peer` and `local` are what a trusted host in front says, where there is one: `via` is then its
    own address, `proxy` its PROXY header, `xclient` the attributes of XCLIENT by upper-case name.
    """

    id: str
    peer: Endpoint
    local: Endpoint
    started: float
    helo: str = ""
    extended: bool = False
    tls: TlsFacts | None = None
    messages: int = 0
    transactions: int = 0
    notes: dict[str, Any] = {}
    protocol: str = "smtp"
    via: Endpoint | None = None
    proxy: ProxyHeader | None = None
    xclient: Mapping[str, str] | None = None
    auth: AuthFacts | None = None

    @property
    def started_at(self) -> datetime:
        """When the client connected (aware, UTC)."""
        return datetime.fromtimestamp(self.started, UTC)


class TrapHit(msgspec.Struct, frozen=True):
    """A recipient that a trap list names: the address as given, the entry, and where it stands."""

    address: Address
    entry: str
    note: str
    source: str
    line: int


class Recipient(msgspec.Struct, eq=False):
    """One forward-path of a transaction.

    `reply` is what RCPT was answered (None while it is being decided), or, where each recipient has
    an answer of its own to the end of the message, the refusal it had then; `user` is the local
    part in lower case with the subaddress taken off, `domain` the canonical domain.
    """

    address: Address
    params: dict[str, str]
    user: str = ""
    domain: str = ""
    reply: Reply | None = None

    @property
    def accepted(self) -> bool:
        """Whether RCPT was answered 2xx."""
        return self.reply is not None and self.reply.code < 300


class Transaction(msgspec.Struct, eq=False):
    """One mail transaction, from MAIL to the end of the message or RSET (RFC 5321 section 3.3).

    `recipients` are those accepted, `refused` the others; `trap_hits` every recipient that is a
    trap, whatever RCPT was answered; `message` is None before the content begins; `notes` a
    plugin's memory for as long as the transaction lives.
    """

    id: str
    session: Session
    reverse_path: Address
    params: dict[str, str]
    received: float
    recipients: list[Recipient] = []
    refused: list[Recipient] = []
    trap_hits: list[TrapHit] = []
    message: Message | None = None
    notes: dict[str, Any] = {}

    @property
    def received_at(self) -> datetime:
        """When MAIL was received (aware, local time zone)."""
        return datetime.fromtimestamp(self.received).astimezone()
