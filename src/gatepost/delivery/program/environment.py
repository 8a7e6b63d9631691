"""The environment of programs that take mail: five variables, and nothing of the server's own.

These are PATH, SENDER, CLIENT_ADDRESS, MESSAGE_REF (`ref` in the log) and, for a single recipient,
RECIPIENT. A message is refused if a value is not safe for the program.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gatepost.delivery.program.command_line import UnsafeValueError, check_value
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction

PATH = "/usr/local/bin:/usr/bin:/bin"

BAD_SENDER = Reply(553, "Sender address not allowed", "5.1.7")
BAD_RECIPIENT = Reply(553, "Recipient address not allowed", "5.1.3")


def environment(tx: Transaction, recipients: list[Recipient]) -> Mapping[str, str]:
    """Return the environment of a program; raise `UnsafeValueError`."""
    variables = {
        "PATH": PATH,
        "SENDER": check_value("sender", str(tx.reverse_path)),
        "CLIENT_ADDRESS": tx.session.peer.host,
        "MESSAGE_REF": tx.id,
    }
    if len(recipients) == 1:
        variables["RECIPIENT"] = check_value("recipient", str(recipients[0].address))
    return variables


@contextmanager
def unsafe_values_refused() -> Iterator[None]:
    """Turn `UnsafeValueError` into a permanent `DeliveryError`."""
    try:
        yield
    except UnsafeValueError as error:
        reply = BAD_SENDER if error.field == "sender" else BAD_RECIPIENT
        raise DeliveryError(reply.text, permanent=True, detail=str(error), reply=reply) from error
