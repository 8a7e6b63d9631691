"""The contract between the session and whatever takes a message.

A target takes a whole delivery or nothing of it. Success means that the message is durable: the
client may be told 250 (RFC 5321 section 6.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gatepost.model.message import Message
    from gatepost.model.session import Recipient, Transaction


class Delivery(msgspec.Struct, frozen=True, eq=False):
    """One message for one target: `recipients` are those of the transaction it is to serve.

    A message reads from one place at a time: the deliveries of one message are made one after the
    other, and it is neither changed nor closed until the last has ended.
    """

    transaction: Transaction
    recipients: list[Recipient]
    message: Message


class DeliveryError(Exception):
    """The target did not take the message, and keeps nothing of it.

    `text` is for the client, `detail` for the log (it may name paths and addresses); `permanent`
    is true where another attempt would fail the same way: a 5xx reply, otherwise 4xx.
    """

    def __init__(self, text: str, permanent: bool = False, *, detail: str = "") -> None:  # noqa: FBT001, FBT002 - the contract's own order
        super().__init__(detail or text)
        self.text = text
        self.permanent = permanent
        self.detail = detail or text


class Target(Protocol):
    """Something that takes messages."""

    def deliver(self, delivery: Delivery) -> Awaitable[None] | None:
        """Take the message for all of the delivery's recipients, or for none.

        None says that it is done, with no task spent; an awaitable is done when it returns.
        Either way raises `DeliveryError` when the message was not taken.
        """
