"""The contract between the session and whatever takes a message.

A target answers for every recipient of a delivery: those it took are safe when it returns – the
client may be told 250 (RFC 5321 section 6.1) – and of those it did not take it keeps nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

from gatepost.model.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from gatepost.model.message import Message
    from gatepost.model.session import Recipient, Transaction


class Delivery(msgspec.Struct, frozen=True, eq=False):
    """One message for one target: `recipients` are those of the transaction it is to serve.

    A message reads from one place at a time: the deliveries of one message are made one after the
    other, and it is neither changed nor closed until the last has ended.

    The target adds to `taken_on` the recipients of whose success the next hop tells the sender, if
    he wants it: it was given what he has asked for, and knows of that (RFC 3461 section 5.2.2).
    """

    transaction: Transaction
    recipients: list[Recipient]
    message: Message
    taken_on: set[Recipient] = set()


class DeliveryError(Exception):
    """The target did not take the message, and keeps nothing of it.

    `text` is for the client, `detail` for the log (it may name paths and addresses); `permanent`
    is true where another attempt would fail the same way: a 5xx reply, otherwise 4xx. `reply` is
    what the next hop has answered, where there is one that did: it is what the client is told.
    """

    def __init__(
        self,
        text: str,
        permanent: bool = False,  # noqa: FBT001, FBT002 - the contract's own order
        *,
        detail: str = "",
        reply: Reply | None = None,
    ) -> None:
        super().__init__(detail or text)
        self.text = text
        self.permanent = permanent
        self.detail = detail or text
        self.reply = reply

    @property
    def answered(self) -> bool:
        """Whether there was somebody to ask, who said no."""
        return self.reply is not None

    def as_reply(self) -> Reply:
        """Return the next hop's answer, or one with what a client may be told."""
        code, enhanced = (554, "5.3.0") if self.permanent else (451, "4.3.0")
        return self.reply or Reply(code, self.text, enhanced)


# The recipients whose mail was not taken, each with the reason.
Failures: TypeAlias = "Mapping[Recipient, DeliveryError]"


class Target(Protocol):
    """Something that takes messages. What it may do beside is in the protocols below."""

    def deliver(self, delivery: Delivery) -> Awaitable[Failures | None] | None:
        """Take the message for the delivery's recipients.

        None says that it is done, with no task spent; an awaitable is done when it returns.
        Either way raises `DeliveryError` when nobody's was taken; where some recipients' was, the
        others are returned, each with its reason.
        """


class Verifier(Protocol):
    """A target that can ask the next hop for a recipient before there is a message."""

    async def verify(self, tx: Transaction, recipient: Recipient) -> Reply | None:
        """Return the next hop's refusal; None where it takes the recipient, or cannot say."""


class Branching(Protocol):
    """A target with several next hops, which are slow or dead each for itself."""

    def destination(self, recipient: Recipient) -> str:
        """Return a name for where this recipient's mail goes next."""


class HandingOn(Protocol):
    """A target whose mail goes on from there: to have taken it is not to have delivered it."""

    hands_on: bool


class Stoppable(Protocol):
    """A target that holds something open between deliveries."""

    async def stop(self) -> None:
        """Let go of it: no delivery will come any more."""


class Route(msgspec.Struct, frozen=True, eq=False):
    """Where the mail of some recipients goes: the target, and the `url` that names it.

    `mode` is as configured: "direct" hands over while the client waits, "queue" by way of the
    spool; `fallback` has a message spooled where a direct target cannot be reached. `relays` is
    whether clients that have said who they are may use it for domains that are not ours.
    """

    target: Target
    url: str
    mode: Literal["direct", "queue"] = "direct"
    fallback: bool = False
    relays: bool = False

    @property
    def spools(self) -> bool:
        """Whether its mail may come into the spool."""
        return self.mode == "queue" or self.fallback

    @property
    def hands_on(self) -> bool:
        """Whether mail goes on from the target, see `HandingOn`."""
        return getattr(self.target, "hands_on", False)

    def destination(self, recipient: Recipient) -> str:
        """Return a name for the next hop, shared by all recipients it serves."""
        branches = getattr(self.target, "destination", None)
        return self.url if branches is None else branches(recipient)
