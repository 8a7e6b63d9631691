"""What every program that takes mail finds around it, and the mail that it must not see.

The environment is PATH, SENDER, CLIENT_ADDRESS, MESSAGE_REF (what the log calls `ref`) and, where
there is but one recipient, RECIPIENT.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gatepost.delivery.program.arguments import ValueRefusedError, check_value
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction

PATH = "/usr/local/bin:/usr/bin:/bin"

BAD_SENDER = Reply(553, "The sender's address is not allowed here", "5.1.7")
BAD_RECIPIENT = Reply(553, "The recipient's address is not allowed here", "5.1.3")


def environment(tx: Transaction, recipients: list[Recipient]) -> Mapping[str, str]:
    """Return what a program finds in its environment; raises `ValueRefusedError`."""
    found = {
        "PATH": PATH,
        "SENDER": check_value("sender", str(tx.reverse_path)),
        "CLIENT_ADDRESS": tx.session.peer.host,
        "MESSAGE_REF": tx.id,
    }
    if len(recipients) == 1:
        found["RECIPIENT"] = check_value("recipient", str(recipients[0].address))
    return found


@contextmanager
def refusals() -> Iterator[None]:
    """Refuse mail with an address that a program must not see."""
    try:
        yield
    except ValueRefusedError as error:
        reply = BAD_SENDER if error.field == "sender" else BAD_RECIPIENT
        raise DeliveryError(reply.text, permanent=True, detail=str(error), reply=reply) from error
