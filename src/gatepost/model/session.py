"""The facts about a client and its transaction.

Plugins read them, and can write to `notes` and `results`. They cannot assign anything else
(`gatepost.model.facts`). They change the recipients and the delivery with the methods of
`Transaction`, which `gatepost.model.actions` implements.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from gatepost.model.address import Address
from gatepost.model.author import Author
from gatepost.model.endpoint import Endpoint
from gatepost.model.fact_list import EMPTY, read_only
from gatepost.model.facts import set_fact
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


class Opinion(NamedTuple):
    """A decision without effect: the method, the name of the plugin, the `Decision`.

    The plugin is in shadow mode, or `allowed` is the entry of `gatepost allow` as text.
    """

    method: str
    plugin: str
    decision: Any
    allowed: str = ""


# More opinions on a session or transaction are not kept.
MOST_OPINIONS = 100


class Input(Protocol):
    """The input of a client; `unread` is the number of octets that are not handled yet."""

    @property
    def unread(self) -> int:
        """Return the number of octets."""


class Hold(msgspec.Struct, frozen=True):
    """Why a message is held instead of delivered, and the plugin (`gatepost` for the core)."""

    reason: str
    by: str


def check_reason(reason: str) -> None:
    """Raise ValueError unless a message can be held for this reason."""
    if not reason or not reason.isprintable():
        raise ValueError(f"expected the reason of hold() in one line, found {reason!r}")


@read_only(auth="accept() the credentials in on_auth")
class Session(msgspec.Struct, frozen=True, eq=False):
    """One client connection.

    `peer` is the client's address, `local` the server's. `helo` is the argument of HELO, EHLO or
    LHLO ("" before it); `extended` is false after HELO. `protocol` is that of the listener, such as
    "smtp". `tls` is None without encryption, `auth` is None without authentication. `notes` is a
    dict for plugins that lasts as long as the connection; STARTTLS does not clear it.

    `listener` is the name of the listener, "" if it has none. `in_relay_network` is true if the
    client is in a network of `relay_for` of a route. `opinions` are the decisions of plugins that
    have no effect. `input` is what the client has sent.

    Behind a trusted proxy, `peer` and `local` are the addresses that the proxy reports. `via` is
    then the proxy's own address, `proxy` its PROXY header, and `xclient` the attributes of XCLIENT
    by upper-case name.

    With a milter, `via` is the address of the mail server, and `reported` has what it reports about
    the client and the current command: its macros, by their names without braces.
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
    opinions: Sequence[Opinion] = EMPTY
    found: Results | None = None
    input: Input | None = None
    reported: Mapping[str, str] = {}
    held: Hold | None = None

    @property
    def has_unread(self) -> bool:
        """Return whether the client has sent more than was handled: in `on_connect`, too early."""
        return self.input is not None and self.input.unread > 0

    @property
    def results(self) -> Results:
        """The results of plugins about the client; each transaction begins with them."""
        if self.found is None:  # most sessions have none
            set_fact(self, "found", Results())
            assert self.found is not None
        return self.found

    @property
    def started_at(self) -> datetime:
        """The time of the connection (aware, UTC)."""
        return datetime.fromtimestamp(self.started, UTC)


class TrapHit(msgspec.Struct, frozen=True):
    """A recipient that is a trap, and the entry of the trap list with its source and line.

    A trap without an entry was found by a rule: `source` is then the setting of the rule. `line` is
    0. `trap_class` is the word of `class=` in the entry, such as "recycled". `guessable` is whether
    it refuses only itself, because any person can guess it. `treatment` is the result of the table
    in `[traps.table]`, such as "refuse all", "" before it is certain. `shadow` is whether it has no
    effect. `registered` is whether the entry is in the registry, `exempt` the domains from which
    it has no effect, and `unproven` whether it has no effect because nothing has shown
    that the address does not exist. `is_evidence` is whether the hit proves something about the
    sender: bounces, automatic answers and mistakes of a person do not.
    """

    address: Address
    entry: str
    note: str
    source: str
    line: int
    trap_class: str = "pristine"
    guessable: bool = False
    treatment: str = ""
    shadow: bool = False
    registered: bool = False
    exempt: tuple[str, ...] = ()
    unproven: bool = False
    is_evidence: bool = True


class Sender(msgspec.Struct, frozen=True):
    """A sender that a plugin has set; `gets_dsns` is whether DSNs of this server go to it."""

    address: Address
    gets_dsns: bool = True


@read_only(
    address="use tx.replace_recipient()",
    route="use tx.choose_route()",
    sender="use tx.change_sender()",
    reply="return a decision from on_rcpt",
)
class Recipient(msgspec.Struct, frozen=True, eq=False):
    """One recipient of a transaction.

    `user` is the local part in lower case without the subaddress, `domain` the canonical domain.
    `reply` is the reply to RCPT, None before it. In LMTP it becomes the refusal at the end of the
    message, if there is one. `route` is the name of the route that a plugin has chosen, "" for the
    first that matches. `added` is whether a plugin has added the recipient. `mta_reply` is the
    refusal of the mail server itself if Gatepost is its milter, None if it accepts the recipient.
    `sender` is what a plugin has set for this recipient, see `Transaction.sender_of`.
    """

    address: Address
    params: dict[str, str]
    user: str = ""
    domain: str = ""
    reply: Reply | None = None
    route: str = ""
    added: bool = False
    mta_reply: Reply | None = None
    sender: Sender | None = None

    @property
    def accepted(self) -> bool:
        """Return whether the reply is 2xx."""
        return self.reply is not None and self.reply.code < 300


class Change(msgspec.Struct, frozen=True):
    """One change of recipients or delivery: its kind, what it is about, and the plugin."""

    kind: str
    about: str
    plugin: str

    def __str__(self) -> str:
        return f"{self.kind} {self.about}" + (f" ({self.plugin})" if self.plugin else "")


class Acting(Protocol):
    """Does what plugins ask for in one transaction, see `gatepost.model.actions`.

    `author` is the plugin that runs.
    `current` is the recipient that is being decided. `named` are the accepted recipients as the
    client named them, None if they are the transaction's. `each` is whether the client gets a reply
    for each of them. `held` is why the message is held, None if it is not. `sender` is what a
    plugin has set for all recipients, `has_senders` whether any has set one. `sealed` is true from
    the delivery on. `refusals` are answers about some of the recipients, with the reply, that are
    still to be recorded.
    """

    author: Author
    current: Recipient | None
    named: list[Recipient] | None
    held: Hold | None
    each: bool
    sender: Sender | None
    has_senders: bool
    sealed: bool
    changes: Sequence[Change]
    refusals: Sequence[tuple[Any, Reply]]

    def add(self, tx: "Transaction", address: Address | str, route: str) -> Recipient:
        """Add a recipient."""

    def replace(
        self, tx: "Transaction", rcpt: Recipient, addresses: Iterable[Address | str]
    ) -> Sequence[Recipient]:
        """Replace a recipient."""

    def choose_route(
        self, tx: "Transaction", name: str, recipients: Iterable[Recipient] | None
    ) -> None:
        """Choose the route of recipients."""

    def quarantine(self, tx: "Transaction", reason: str) -> None:
        """Hold the message in the queue, in the name of the plugin that runs."""

    def hold(self, hold: Hold) -> None:
        """Hold the message in the queue."""

    def change_sender(
        self,
        tx: "Transaction",
        address: Address | str,
        recipients: Iterable[Recipient] | None,
        *,
        dsns: bool,
    ) -> None:
        """Change the sender that next hops and mailboxes get."""

    def is_replaced(self, rcpt: Recipient) -> bool:
        """Return whether others replace a recipient that is being decided."""

    def accept(self, tx: "Transaction", rcpt: Recipient) -> None:
        """Add a recipient that the client has named, or those that replace it."""

    def refuse(self, tx: "Transaction", recipients: Iterable[Recipient], reply: Reply) -> bool:
        """Refuse recipients at the end of the message; return whether all are refused."""

    def replies(self, usual: Mapping[Recipient, Reply], otherwise: Reply) -> Reply:
        """Return the reply to the client, for each recipient that it has named."""


@read_only(
    recipients="use tx.add_recipient() or tx.replace_recipient()",
    message="use the methods of tx.message",
    reverse_path="use tx.change_sender()",
)
class Transaction(msgspec.Struct, frozen=True, eq=False):
    """One mail transaction, from MAIL to the end of the message or RSET (RFC 5321 section 3.3).

    `recipients` has the recipients that get the message: those that were accepted, as plugins
    changed them. `refused` has the others. `trap_hits` has every recipient that is a trap, accepted
    or not, as the client named it. `message` is None before the content. `message_id` is the first
    Message-ID, at most 250 characters; it is "" without one, and before the header block is
    complete. `queue_id` is that of the mail server if Gatepost is its milter, "" before it is
    known. `next_hops` are the next hops that have accepted the message, each with its reply.
    `notes` is a dict for plugins that lasts as long as the transaction. `opinions` are the
    decisions of plugins that have no effect.

    The methods work from `on_mail` to `on_deliver`, and raise RuntimeError outside of these.
    """

    id: str
    session: Session
    reverse_path: Address
    params: dict[str, str]
    received: float
    recipients: Sequence[Recipient] = EMPTY
    refused: Sequence[Recipient] = EMPTY
    trap_hits: Sequence[TrapHit] = EMPTY
    message: Message | None = None
    message_id: str = ""
    next_hops: dict[str, str] = {}
    notes: dict[str, Any] = {}
    opinions: Sequence[Opinion] = EMPTY
    found: Results | None = None
    acting: Acting | None = None
    queue_id: str = ""

    @property
    def results(self) -> Results:
        """The results of plugins about the message."""
        if self.found is None:  # most transactions have none
            set_fact(self, "found", Results())
            assert self.found is not None
        return self.found

    @property
    def received_at(self) -> datetime:
        """The time of MAIL (aware, local time zone)."""
        return datetime.fromtimestamp(self.received).astimezone()

    def add_recipient(self, address: Address | str, *, route: str = "") -> Recipient:
        """Send a copy to another address, such as a journal; return the recipient.

        The sender gets no DSN about it: if it fails, the copy is held in the queue. `route` is the
        name of a route. An address that is a recipient already is not added again. Raises
        ValueError for an invalid address, one without a route, or too many recipients.
        """
        return self._acting().add(self, address, route)

    def replace_recipient(
        self, rcpt: Recipient, addresses: Iterable[Address | str]
    ) -> Sequence[Recipient]:
        """Send the message to other addresses instead of this recipient; return the recipients.

        They have the recipient's DSN parameters and route. In `on_rcpt`, this takes effect if the
        recipient is accepted. Raises ValueError as `add_recipient` does, if there is no address,
        and if `rcpt` is no recipient of the transaction.
        """
        return self._acting().replace(self, rcpt, addresses)

    def choose_route(self, name: str, recipients: Iterable[Recipient] | None = None) -> None:
        """Deliver by the `[[route]]` of this name, whatever its patterns.

        By default this is for all recipients so far, except those that plugins have added. Raises
        ValueError for an unknown name, and for a recipient of another transaction.
        """
        self._acting().choose_route(self, name, recipients)

    def quarantine(self, reason: str) -> None:
        """Do what the decision `hold(reason)` does, from a method that returns no decision."""
        self._acting().quarantine(self, reason)

    def change_sender(
        self,
        address: Address | str,
        recipients: Iterable[Recipient] | None = None,
        *,
        dsns: bool = True,
    ) -> None:
        """Deliver with another sender, by default for all recipients, also later ones.

        `reverse_path` stays what the client has named. DSNs of this server go to the new sender,
        or with `dsns=False` to that of the client. "" is the null reverse-path. Raises ValueError
        for an invalid address, for a recipient of another transaction, and for a message with the
        null reverse-path: a DSN must not cause another one.
        """
        self._acting().change_sender(self, address, recipients, dsns=dsns)

    def sender_of(self, rcpt: Recipient) -> Address:
        """Return the sender with which the message is delivered to a recipient."""
        sender = chosen_sender(self, rcpt)
        return self.reverse_path if sender is None else sender.address

    def _acting(self) -> Acting:
        if self.acting is None or self.acting.sealed:
            raise RuntimeError(
                "recipients and delivery cannot be changed now: do it from on_mail to on_deliver"
            )
        return self.acting


def chosen_sender(tx: Transaction, rcpt: Recipient) -> Sender | None:
    """Return the sender that plugins have set for a recipient, None for that of the client."""
    acting = tx.acting
    if acting is None or not acting.has_senders:
        return None
    return rcpt.sender or acting.sender
