"""The message as targets write it: whole, and with the line ends that a program wants.

Security: whoever reads the pieces to their end has the whole message. One that was closed too early
raises instead of ending, so that no short copy passes for a message.
"""

from collections.abc import Iterable, Iterator

from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message

TRY_AGAIN = "The message could not be stored, please try again later"


def octets(message: Message) -> int:
    """Return the size of the message with the header fields added on the way."""
    return sum(map(len, message.added)) + message.size


def whole(message: Message) -> Iterator[bytes]:
    """Yield the message in pieces; raises `DeliveryError` at the end if they are not all of it."""
    expected = octets(message)
    found = 0
    for piece in message:
        found += len(piece)
        yield piece
    if found != expected:
        detail = f"expected {expected} octets of message, found {found}"
        raise DeliveryError(TRY_AGAIN, detail=detail)


def with_lf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same content with LF for CRLF, wherever the pieces were cut."""
    held = b""
    for piece in pieces:
        joined = held + piece
        held = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(held)].replace(b"\r\n", b"\n")
    yield held
