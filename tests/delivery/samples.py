"""Sample deliveries."""

from gatepost.delivery.target import Delivery
from gatepost.model.address import NULL_PATH, Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Session, Transaction

SENDER = Address.parse("sender@example.net")


def recipient(text, user=None):
    address = Address(text, "") if "@" not in text else Address.parse(text)
    return Recipient(address, {}, user=address.local.lower() if user is None else user)


def message(content=b"Subject: x\r\n\r\nHello\r\n", threshold=1_000_000, folder=None):
    made = Message(threshold, folder)
    made.write(content)
    return made


def delivery(*recipients, of=None, sender=SENDER):
    client = Endpoint("192.0.2.1", 40000)
    session = Session("s1", client, Endpoint("192.0.2.9", 25), 1_700_000_000.0)
    transaction = Transaction("t1", session, sender, {}, 1_700_000_000.0)
    return Delivery(transaction, list(recipients), of or message())


__all__ = ["NULL_PATH", "SENDER", "delivery", "message", "recipient"]
