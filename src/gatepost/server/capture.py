"""A plugin that keeps messages in memory instead of delivering them."""

from collections.abc import Mapping, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage

import msgspec

from gatepost.delivery.target import DeliveryError
from gatepost.model.decision import Decision, accept
from gatepost.model.message import Message
from gatepost.model.message_transaction import MessageTransaction
from gatepost.model.session import Hold, Recipient, Transaction, chosen_sender
from gatepost.plugin.base import Plugin


class ReceivedMessage(msgspec.Struct, frozen=True):
    """An accepted message: the addresses of its envelope, and the complete content.

    `routes` are the names of the routes that plugins have chosen, by recipient. `quarantined` is
    the reason why the message is held, "" if it is not. `senders` are those that plugins have set,
    by recipient.
    """

    reverse_path: str
    recipients: list[str]
    content: bytes
    routes: dict[str, str] = {}
    quarantined: str = ""
    senders: dict[str, str] = {}

    def parse(self) -> EmailMessage:
        """Return the content as a message of the standard library, such as for its subject."""
        return message_from_bytes(self.content, policy=policy.default)


def received_message(tx: Transaction, quarantined: str = "") -> ReceivedMessage:
    """Return the message of a transaction, for tests."""
    recipients = [str(one.address) for one in tx.recipients]
    content = b"" if tx.message is None else bytes(tx.message)
    routes = {str(one.address): one.route for one in tx.recipients if one.route}
    senders = {
        str(one.address): str(sender.address)
        for one in tx.recipients
        if (sender := chosen_sender(tx, one)) is not None
    }
    return ReceivedMessage(str(tx.reverse_path), recipients, content, routes, quarantined, senders)


class MemorySpool:
    """Keeps the messages that plugins hold, in `held`, and submit, in `submitted`."""

    def __init__(self, held: list[ReceivedMessage]) -> None:
        self._held = held
        self.submitted: list[ReceivedMessage] = []

    async def put(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError] | None = None,
        *,
        hold: Hold | None = None,
    ) -> None:
        """Keep a message."""
        del recipients, failures
        made = msgspec.structs.replace(tx, message=message)
        quarantined = "" if hold is None else hold.reason
        (self._held if hold else self.submitted).append(received_message(made, quarantined))


class Capture(Plugin):
    """Accepts every message that no earlier plugin has delivered, and keeps it in `messages`."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[ReceivedMessage] = []

    def on_deliver(self, tx: MessageTransaction, /) -> Decision:
        """Keep the message."""
        self.messages.append(received_message(tx))
        return accept()
