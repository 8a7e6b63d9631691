"""A plugin that keeps messages in memory instead of delivering them."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import msgspec

from gatepost.model.decision import Decision, accept
from gatepost.model.message_transaction import MessageTransaction
from gatepost.plugin.base import Plugin


class ReceivedMessage(msgspec.Struct, frozen=True):
    """An accepted message: the addresses of its envelope, and the complete content."""

    reverse_path: str
    recipients: list[str]
    content: bytes

    def parse(self) -> EmailMessage:
        """Return the content as a message of the standard library, such as for its subject."""
        return message_from_bytes(self.content, policy=policy.default)


class Capture(Plugin):
    """Accepts every message that no earlier plugin has delivered, and keeps it in `messages`."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[ReceivedMessage] = []

    def on_deliver(self, tx: MessageTransaction, /) -> Decision:
        """Keep the message."""
        recipients = [str(one.address) for one in tx.recipients]
        self.messages.append(ReceivedMessage(str(tx.reverse_path), recipients, bytes(tx.message)))
        return accept()
