"""Encodings of parameter values: xtext (RFC 3461 section 4) and utf-8-addr-xtext (RFC 6533)."""

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_NOT_XCHAR = re.compile(r"[+= ]")
_HEX_PAIR = re.compile(r"\+([0-9A-F]{2})")


def decode_xtext(value: str) -> str:
    """Decode xtext to printable US-ASCII. Raises ValueError."""
    if not _XTEXT.fullmatch(value):
        raise ValueError("expected xtext")
    decoded = _HEX_PAIR.sub(lambda pair: chr(int(pair[1], 16)), value)
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("expected xtext of printable US-ASCII characters")
    return decoded


def encode_xtext(text: str) -> str:
    """Encode printable US-ASCII as xtext. Raises ValueError for any other text."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("expected printable US-ASCII characters")
    return _NOT_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def encode_unicode(text: str) -> str:
    r"""Write characters outside US-ASCII as \x{HEX} (RFC 6533 section 3)."""
    return "".join(c if c.isascii() else f"\\x{{{ord(c):X}}}" for c in text)
