"""The facts about a client and its transaction.

Plugins read them and can write to `notes`.
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
from gatepost.model.results import Results


class TlsFacts(msgspec.Struct, frozen=True):
    """The result of a TLS handshake.

    `version` is for example "TLSv1.3", `cipher` OpenSSL's name of the cipher suite, `sni` the
    server name in the client's request ("" if none). `peer_subject` (for example
    "CN=mail.example.org") and `peer_fingerprint` (SHA-256, hexadecimal) describe a client
    certificate issued by one of `[tls] client_ca`; both are "" without one.
    """

    version: str
    cipher: str
    sni: str = ""
    peer_subject: str = ""
    peer_fingerprint: str = ""


class AuthFacts(msgspec.Struct, frozen=True):
    """The authenticated identity of a client: the `user` and the SASL `mechanism`."""

    user: str
    mechanism: str


class Session(msgspec.Struct, eq=False):
    """One client connection.

    `peer` is the client's address, `local` the server's. `helo` is the argument of HELO, EHLO or
    LHLO ("" before it); `extended` is false after HELO. `protocol` is "smtp" or "lmtp". `tls` is
    None without encryption, `auth` is None without authentication. `notes` is a dict for plugins
    that lasts as long as the connection; STARTTLS does not clear it.

    `listener` is the name of the listener, "" if it has none. `in_relay_network` is true if the
    client is in a network of `relay_for` of a route.

    Behind a trusted proxy, `peer` and `local` are the addresses that the proxy reports. `via` is
    then the proxy's own address, `proxy` its PROXY header, and `xclient` the attributes of XCLIENT
    by upper-case name.
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
    listener: str = ""
    in_relay_network: bool = False

    @property
    def started_at(self) -> datetime:
        """The time of the connection (aware, UTC)."""
        return datetime.fromtimestamp(self.started, UTC)


class TrapHit(msgspec.Struct, frozen=True):
    """A recipient that is a trap, and the entry of the trap list with its source and line."""

    address: Address
    entry: str
    note: str
    source: str
    line: int


class Recipient(msgspec.Struct, eq=False):
    """One recipient of a transaction.

    `user` is the local part in lower case without the subaddress, `domain` the canonical domain.
    `reply` is the reply to RCPT, None before it. In LMTP it becomes the refusal at the end of the
    message, if there is one.
    """

    address: Address
    params: dict[str, str]
    user: str = ""
    domain: str = ""
    reply: Reply | None = None

    @property
    def accepted(self) -> bool:
        """Return whether the reply is 2xx."""
        return self.reply is not None and self.reply.code < 300


class Transaction(msgspec.Struct, eq=False):
    """One mail transaction, from MAIL to the end of the message or RSET (RFC 5321 section 3.3).

    `recipients` has the accepted recipients, `refused` the others. `trap_hits` has every recipient
    that is a trap, accepted or not. `message` is None before the content. `message_id` is the first
    Message-ID, at most 250 characters; it is "" without one, and before the header block is
    complete. `next_hops` are the next hops that have accepted the message, each with its reply.
    `notes` is a dict for plugins that lasts as long as the transaction.
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
    message_id: str = ""
    next_hops: dict[str, str] = {}
    notes: dict[str, Any] = {}
    found: Results | None = None

    @property
    def results(self) -> Results:
        """The results of plugins about the message."""
        if self.found is None:  # most transactions have none
            self.found = Results()
        return self.found

    @property
    def received_at(self) -> datetime:
        """The time of MAIL (aware, local time zone)."""
        return datetime.fromtimestamp(self.received).astimezone()
