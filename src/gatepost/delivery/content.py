"""The content of a message as targets write it: complete, with the line ends a program needs.

Security: a message that was closed too early raises an error instead of ending, so that a part of
a message never passes for all of it.
"""

from collections.abc import Iterable, Iterator

from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message

NOT_STORED = "The message could not be stored, please try again later"


def content_size(message: Message) -> int:
    """Return the octets of the message, including the header fields added by this server."""
    return message.full_size


def complete(message: Message) -> Iterator[bytes]:
    """Yield the message in pieces; raise `DeliveryError` at the end if octets are missing."""
    expected = content_size(message)
    found = 0
    for piece in message:
        found += len(piece)
        yield piece
    if found != expected:
        detail = f"expected {expected} octets of message, found {found}"
        raise DeliveryError(NOT_STORED, detail=detail)


def with_lf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same content with LF for CRLF, wherever the pieces are cut."""
    held = b""
    for piece in pieces:
        joined = held + piece
        held = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(held)].replace(b"\r\n", b"\n")
    yield held
