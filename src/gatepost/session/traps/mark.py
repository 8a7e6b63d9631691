"""The mark of a message that passes in spite of a trap: a result, and a header field.

The result `traps` with the value `marked` is what plugins see, and the seam for others that mark: a
message that has it when it is handed over gets the field. Clients outside cannot
bring the field: theirs is removed.
"""

from typing import Final

from gatepost.model.author import Named
from gatepost.model.message import Message
from gatepost.model.session import Transaction
from gatepost.session.traps.rule import TrapRule

NAME, MARKED = "traps", "marked"
FIELD = "X-Gatepost-Trap"
# How the field begins in lower case, behind the end of a line.
START: Final = b"\r\n" + FIELD.lower().encode()

_TRACE = f"{FIELD}: {MARKED}\r\n".encode()
_SERVER = Named("gatepost")


def mark(rule: TrapRule, tx: Transaction) -> None:
    """Add the result."""
    tx.results.replace(NAME, MARKED, score=rule.mark_score)


def add_field(tx: Transaction, message: Message) -> None:
    """Add the field to a message that is marked."""
    if tx.found is not None and tx.found.value(NAME) == MARKED:
        message.add_trace(_TRACE)


def remove_fields(message: Message) -> None:
    """Remove the field; raises ValueError if the header block is too long to be edited."""
    message.author = _SERVER
    message.remove_header(FIELD)
