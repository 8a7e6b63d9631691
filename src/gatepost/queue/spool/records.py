"""What the rows of a spool file say, typed; and the way back to a session and a transaction.

Facts are JSON, so that a file can be read without this program. What a plugin has left in `notes`
and the bytes of a PROXY header are not kept: nobody asks for them once the session is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts, Recipient, Session, TlsFacts, Transaction


class MessageFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The envelope but for the recipients: the transaction, and what of its session is kept."""

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


class RecipientFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipient as the session knew it."""

    address: Address
    params: dict[str, str] = {}
    user: str = ""
    domain: str = ""


class NewRecipient(msgspec.Struct, frozen=True):
    """A recipient on its way into the spool; one whose `due` is None is held."""

    facts: RecipientFacts
    destination: str
    due: float | None
    attempts: int = 0
    reply: str = ""
    reason: str = ""


class QueuedRecipient(msgspec.Struct, frozen=True, eq=False):
    """A recipient in the spool: its row's number, and what the last attempt came to."""

    id: int
    facts: RecipientFacts
    destination: str
    attempts: int
    reply: str
    reason: str

    def recipient(self) -> Recipient:
        """Return it as a target sees it."""
        facts = self.facts
        return Recipient(facts.address, facts.params, facts.user, facts.domain)


encode = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(MessageFacts).decode
decode_recipient = msgspec.json.Decoder(RecipientFacts).decode


def message_facts(tx: Transaction) -> MessageFacts:
    """Return what is kept of a transaction and its session."""
    session = tx.session
    return MessageFacts(
        id=tx.id,
        reverse_path=tx.reverse_path,
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
    )


def _plain(attributes: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if attributes is None else dict(attributes)


def recipient_facts(recipient: Recipient) -> RecipientFacts:
    """Return what is kept of a recipient."""
    return RecipientFacts(recipient.address, recipient.params, recipient.user, recipient.domain)


def transaction(facts: MessageFacts, recipients: list[Recipient]) -> Transaction:
    """Return the transaction that `facts` were taken from, with these recipients."""
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
    )
    return Transaction(
        facts.id, session, facts.reverse_path, facts.params, facts.received, recipients
    )


class NewMessage(msgspec.Struct, frozen=True, eq=False):
    """A message to put: its content is `size` octets in `pieces`, read in the writer's thread.

    Times are seconds since the epoch: when it came, when it is given up, and when something has to
    happen before (None: never).
    """

    facts: MessageFacts
    recipients: Sequence[NewRecipient]
    pieces: Iterable[bytes]
    size: int
    received: float
    expires: float
    event: float | None


class Work(msgspec.Struct, frozen=True, eq=False):
    """A message and its due recipients at one destination.

    `first` is its first piece, `digest` that of all its content, None where there is none.
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
    """A recipient that waits for the administrator."""

    id: int
    reply: str
    reason: str


class AttemptResult(msgspec.Struct, frozen=True, eq=False):
    """What has become of recipients of one message; `parcels` are the notices about it.

    `destinations` are those of the recipients that are named. Where it has changed, `event` is when
    something has to happen next without an attempt, and `expires` the latest time to give it up.
    """

    message: int
    destinations: Iterable[str]
    done: Sequence[int] = ()
    deferred: Sequence[Deferred] = ()
    held: Sequence[Held] = ()
    new_messages: Sequence[NewMessage] = ()
    event: float | None = None
    expires: float = math.inf

    @property
    def is_simple(self) -> bool:
        """Whether there is nothing to write down but that recipients have their mail."""
        return not (self.deferred or self.held or self.new_messages or self.event is not None)
