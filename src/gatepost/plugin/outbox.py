"""The outbox: what `Plugin.submit` hands messages to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from gatepost.model.address import Address

if TYPE_CHECKING:
    from email.message import Message as ParsedMessage  # takes milliseconds

# A message of a plugin: complete, as octets or as an object of the standard library.
NewMail: TypeAlias = "bytes | ParsedMessage"


class Outbox(Protocol):
    """Puts messages of plugins into the queue."""

    async def submit(
        self,
        plugin: str,
        sender: Address | str,
        recipients: Sequence[Address | str],
        message: NewMail,
    ) -> str:
        """Queue a message of a plugin; return its reference."""
