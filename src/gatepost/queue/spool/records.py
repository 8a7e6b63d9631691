"""The rows of a spool file as types, and their conversion from and to sessions and transactions.

Facts are JSON, so that other programs can read a file. The `notes` of plugins and the bytes of a
PROXY header are not stored: they have no use after the session.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.fact_list import FactList
from gatepost.model.session import AuthFacts, Recipient, Sender, Session, TlsFacts, Transaction


class MessageFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The envelope without recipients: the transaction, and the stored part of its session.

    `reverse_path` gets the DSNs. `sender` is the one to deliver with, None if it is the same.
    """

    id: str
    reverse_path: Address
    received: float
    session: str
    peer: Endpoint
    local: Endpoint
    started: float
    params: dict[str, str] = {}
    helo: str = ""
    extended: bool = False
    protocol: str = "smtp"
    tls: TlsFacts | None = None
    via: Endpoint | None = None
    xclient: dict[str, str] | None = None
    auth: AuthFacts | None = None
    in_relay_network: bool = False
    sender: Address | None = None


class RecipientFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipient as the session received it; `route` and `added` are those of plugins."""

    address: Address
    params: dict[str, str] = {}
    user: str = ""
    domain: str = ""
    route: str = ""
    added: bool = False


class NewRecipient(msgspec.Struct, frozen=True):
    """A recipient to store; it is held if `due` is None.

    `holder` is the plugin that has held the message, or `gatepost`, "" if none has; `held` is the
    time.
    """

    facts: RecipientFacts
    destination: str
    due: float | None
    attempts: int = 0
    reply: str = ""
    reason: str = ""
    holder: str = ""
    held: float | None = None


class QueuedRecipient(msgspec.Struct, frozen=True, eq=False):
    """A recipient in the spool: its row number, and the result of the last attempt."""

    id: int
    facts: RecipientFacts
    destination: str
    attempts: int
    reply: str
    reason: str

    def recipient(self) -> Recipient:
        """Return the recipient as delivery targets need it."""
        facts = self.facts
        return Recipient(
            facts.address,
            facts.params,
            facts.user,
            facts.domain,
            route=facts.route,
            added=facts.added,
        )


encode = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(MessageFacts).decode
decode_recipient = msgspec.json.Decoder(RecipientFacts).decode


def message_facts(tx: Transaction, sender: Sender | None = None) -> MessageFacts:
    """Return the stored part of a transaction and its session, with the sender of plugins."""
    session = tx.session
    return MessageFacts(
        id=tx.id,
        reverse_path=sender.address if sender and sender.gets_dsns else tx.reverse_path,
        params=tx.params,
        received=tx.received,
        session=session.id,
        peer=session.peer,
        local=session.local,
        started=session.started,
        helo=session.helo,
        extended=session.extended,
        protocol=session.protocol,
        tls=session.tls,
        via=session.via,
        xclient=_plain(session.xclient),
        auth=session.auth,
        in_relay_network=session.in_relay_network,
        sender=sender.address if sender and not sender.gets_dsns else None,
    )


def _plain(attributes: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if attributes is None else dict(attributes)


def recipient_facts(recipient: Recipient) -> RecipientFacts:
    """Return the stored part of a recipient."""
    return RecipientFacts(
        recipient.address,
        recipient.params,
        recipient.user,
        recipient.domain,
        recipient.route,
        recipient.added,
    )


def transaction(facts: MessageFacts, recipients: list[Recipient]) -> Transaction:
    """Return the transaction of `facts`, with these recipients."""
    session = Session(
        id=facts.session,
        peer=facts.peer,
        local=facts.local,
        started=facts.started,
        helo=facts.helo,
        extended=facts.extended,
        tls=facts.tls,
        protocol=facts.protocol,
        via=facts.via,
        xclient=facts.xclient,
        auth=facts.auth,
        in_relay_network=facts.in_relay_network,
    )
    sender = facts.reverse_path if facts.sender is None else facts.sender
    return Transaction(
        facts.id, session, sender, facts.params, facts.received, FactList(recipients)
    )


class NewMessage(msgspec.Struct, frozen=True, eq=False):
    """A message to store: its content is `size` octets in `pieces`, read in the writing thread.

    Times are seconds since the epoch. `event` is the next change without a delivery attempt, such
    as a delay notice (None: never).
    """

    facts: MessageFacts
    recipients: Sequence[NewRecipient]
    pieces: Iterable[bytes]
    size: int
    received: float
    expires: float
    event: float | None


class DeliveryJob(msgspec.Struct, frozen=True, eq=False):
    """One message for its due recipients at one destination.

    `first` is the first piece of the content, `digest` the digest of all of it (None: unknown).
    """

    message: int
    facts: MessageFacts
    size: int
    received: float
    expires: float
    event: float | None
    destination: str
    recipients: Sequence[QueuedRecipient]
    first: bytes = b""
    digest: int | None = None


class Deferred(msgspec.Struct, frozen=True):
    """A recipient to try again at `due`."""

    id: int
    due: float
    reply: str
    reason: str


class Held(msgspec.Struct, frozen=True):
    """A recipient that is held for the administrator."""

    id: int
    reply: str
    reason: str


class AttemptResult(msgspec.Struct, frozen=True, eq=False):
    """The new state of recipients of one message; `new_messages` are DSNs about it.

    `destinations` are those of the listed recipients. `event`, unless None, is the new time of the
    next change without an attempt. `expires` is the latest time at which the message expires.
    """

    message: int
    destinations: Iterable[str]
    delivered: Sequence[int] = ()
    deferred: Sequence[Deferred] = ()
    held: Sequence[Held] = ()
    new_messages: Sequence[NewMessage] = ()
    event: float | None = None
    expires: float = math.inf

    @property
    def is_delivery_only(self) -> bool:
        """Return whether there is nothing to record except delivered recipients."""
        return not (self.deferred or self.held or self.new_messages or self.event is not None)
