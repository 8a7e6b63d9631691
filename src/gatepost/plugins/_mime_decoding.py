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
UU_BEGIN = re.compile(rb"(?m)^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?$")

IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


class Decoded(NamedTuple):
    """The octets of a part, and whether its encoding is malformed."""

    octets: bytes
    is_malformed: bool


def decode(content: bytes, encoding: str, start: int = 0, end: int | None = None) -> Decoded:
    """Decode a body, `content[start:end]`; one with an unknown encoding is returned as it is."""
    end = len(content) if end is None else end
    decoder = _DECODERS.get(encoding)
    if decoder is None:
        return Decoded(content[start:end], is_malformed=False)
    return decoder(content, start, end)


def is_known(encoding: str) -> bool:
    """Return whether a transfer encoding is one of the usual ones."""
    return encoding in IDENTITY or encoding in _DECODERS


def _from_base64(content: bytes, start: int, end: int) -> Decoded:
    octets, held, malformed, padded = list[bytes](), b"", False, False
    for at in range(start, end, PIECE):
        piece = content[at : min(at + PIECE, end)]
        malformed = malformed or bool(piece.translate(None, _KNOWN))
        *runs, last = (held + piece.translate(None, _NOT_BASE64)).split(b"=")
        for run in filter(None, runs):
            malformed = malformed or padded or len(run) % 4 < 2
            padded = True
            octets.append(_from_run(run))
        malformed = malformed or (padded and bool(last))
        whole = len(last) - len(last) % 4
        octets.append(binascii.a2b_base64(last[:whole]))
        held = last[whole:]
    octets.append(_from_run(held))
    return Decoded(b"".join(octets), malformed or bool(held))


def _from_run(run: bytes) -> bytes:
    """Decode characters without padding; one that is too many is dropped."""
    run = run[: len(run) - (len(run) % 4 == 1)]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def _from_quoted_printable(content: bytes, start: int, end: int) -> Decoded:
    octets, malformed = list[bytes](), False
    for piece in _lines(content, start, end):
        malformed = malformed or _BAD_QUOTED.search(piece) is not None
        octets.append(binascii.a2b_qp(piece))
    return Decoded(b"".join(octets), malformed)


def _lines(content: bytes, at: int, last: int) -> Iterator[bytes]:
    """Yield pieces of whole lines; a long line is cut where no encoded octet is."""
    while at < last:
        end = content.rfind(b"\n", at, min(at + PIECE, last)) + 1
        if end <= at:
            end = min(at + PIECE, last)
            while end < last and b"=" in content[end - 2 : end]:
                end += 1
        yield content[at:end]
        at = end


def _from_uuencode(content: bytes, start: int, end: int) -> Decoded:
    begin = UU_BEGIN.search(content, start, end)
    octets = list[bytes]()
    at = begin.end() + 1 if begin else start
    while at < end:
        next_line = content.find(b"\n", at, end) + 1 or end
        line = content[at:next_line].rstrip()
        if line == b"end":
            break
        try:
            octets.append(binascii.a2b_uu(line) if line else b"")
        except binascii.Error:
            return Decoded(b"".join(octets), is_malformed=True)
        at = next_line
    return Decoded(b"".join(octets), begin is None)


_DECODERS: dict[str, Callable[[bytes, int, int], Decoded]] = {
    "base64": _from_base64,
    "quoted-printable": _from_quoted_printable,
    "x-uuencode": _from_uuencode,
    "uuencode": _from_uuencode,
    "x-uue": _from_uuencode,
}
