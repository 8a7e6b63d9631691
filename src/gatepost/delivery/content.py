"""The content of a message as targets write it: complete, with the line ends a program needs.

Security: a message that was closed too early raises an error instead of ending, so that a part of
a message never passes for all of it.
"""

import re
from collections.abc import Iterable, Iterator

from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message

# Return-Path fields are removed from a header block up to this size in octets.
MAX_HEADER = 1024 * 1024

_END = b"\r\n\r\n"
_RETURN_PATH = re.compile(rb"(?i)\r\nreturn-path[ \t]*:(?:[^\r\n]++|\r\n[ \t])*+")

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


def for_mailbox(message: Message) -> tuple[Iterator[bytes], int]:
    """Return the message without Return-Path fields, as `complete` does, and its size.

    The server of the final delivery removes those of other servers (RFC 5321 section 4.4).
    """
    head = _head(iter(message))
    removed = len(head) - len(_without_return_path(head))
    pieces = complete(message)
    if not removed:
        return pieces, content_size(message)
    return _stripped(pieces), content_size(message) - removed


def _stripped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield _without_return_path(_head(pieces))
    yield from pieces


def _head(pieces: Iterator[bytes]) -> bytes:
    """Return the start of a message with its header block, if that is not too long."""
    head = b""
    for piece in pieces:
        head += piece
        if _END in head or len(head) >= MAX_HEADER:
            break
    return head


def _without_return_path(head: bytes) -> bytes:
    block, end, body = head.partition(_END)
    return _RETURN_PATH.sub(b"", b"\r\n" + block)[2:] + end + body


def with_lf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same content with LF for CRLF, wherever the pieces are cut."""
    held = b""
    for piece in pieces:
        joined = held + piece
        held = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(held)].replace(b"\r\n", b"\n")
    yield held
