"""The type of a transaction with a message, for type checkers.

`Transaction.message` is None before the content, so a checker demands a test for None in each hook
that uses it. The hooks from `headers` on always have a message. There is only one class at run
time.
"""

from typing import TYPE_CHECKING

from gatepost.model.message import Message
from gatepost.model.session import Transaction

if TYPE_CHECKING:
    from msgspec import field

    class MessageTransaction(Transaction, frozen=True):
        """A transaction whose content has begun: its `message` is never None."""

        message: Message = field(default_factory=lambda: Message(0, None, 0))

else:
    MessageTransaction = Transaction
