"""Decode the content of MIME parts, tolerantly and in pieces (RFC 2045 section 6).

Readers differ in what they make of a malformed encoding. Here characters outside of the alphabet
are dropped, and text behind the padding of base64 is decoded too.

Trusts: nothing. A piece has PIECE octets, so that a thread does not keep the others from running.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

PIECE = 128 * 1024

_BASE64 = binascii.b2a_base64(bytes(range(256))) + b"0123456789+/="
_ALPHABET = bytes({*_BASE64, *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"} - {*b"\n="})
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET) - set(b"="))
_KNOWN = _ALPHABET + b"= \t\r\n"
_BAD_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*(?:\r?\n|\Z))")
_UU_BEGIN = re.compile(rb"(?m)^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?$")

IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


class Decoded(NamedTuple):
    """The octets of a part, and whether its encoding is malformed."""

    octets: bytes
    is_malformed: bool


def decode(body: bytes, encoding: str) -> Decoded:
    """Decode a body; one with an unknown encoding is returned as it is."""
    decoder = _DECODERS.get(encoding)
    return Decoded(body, is_malformed=False) if decoder is None else decoder(body)


def is_known(encoding: str) -> bool:
    """Return whether a transfer encoding is one of the usual ones."""
    return encoding in IDENTITY or encoding in _DECODERS


def _from_base64(body: bytes) -> Decoded:
    octets, held, malformed, padded = bytearray(), b"", False, False
    for at in range(0, len(body), PIECE):
        piece = body[at : at + PIECE]
        malformed = malformed or bool(piece.translate(None, _KNOWN))
        *runs, last = (held + piece.translate(None, _NOT_BASE64)).split(b"=")
        for run in filter(None, runs):
            malformed = malformed or padded or len(run) % 4 < 2
            padded = True
            octets += _from_run(run)
        malformed = malformed or (padded and bool(last))
        whole = len(last) - len(last) % 4
        octets += binascii.a2b_base64(last[:whole])
        held = last[whole:]
    octets += _from_run(held)
    return Decoded(bytes(octets), malformed or bool(held))


def _from_run(run: bytes) -> bytes:
    """Decode characters without padding; one that is too many is dropped."""
    run = run[: len(run) - (len(run) % 4 == 1)]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def _from_quoted_printable(body: bytes) -> Decoded:
    octets, malformed = bytearray(), False
    for piece in _lines(body):
        malformed = malformed or _BAD_QUOTED.search(piece) is not None
        octets += binascii.a2b_qp(piece)
    return Decoded(bytes(octets), malformed)


def _lines(body: bytes) -> Iterator[bytes]:
    """Yield pieces of whole lines; a long line is cut where no encoded octet is."""
    at = 0
    while at < len(body):
        end = body.rfind(b"\n", at, at + PIECE) + 1
        if end <= at:
            end = min(at + PIECE, len(body))
            while end < len(body) and b"=" in body[end - 2 : end]:
                end += 1
        yield body[at:end]
        at = end


def _from_uuencode(body: bytes) -> Decoded:
    begin = _UU_BEGIN.search(body)
    octets = bytearray()
    for line in body[begin.end() + 1 if begin else 0 :].split(b"\n"):
        if line.startswith(b"end"):
            break
        try:
            octets += binascii.a2b_uu(line) if line.strip() else b""
        except binascii.Error:
            return Decoded(bytes(octets), is_malformed=True)
    return Decoded(bytes(octets), begin is None)


_DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    "base64": _from_base64,
    "quoted-printable": _from_quoted_printable,
    "x-uuencode": _from_uuencode,
    "uuencode": _from_uuencode,
    "x-uue": _from_uuencode,
}
