"""One header field, made from a name and a value: RFC 5322 section 2.2.

Security: the value must not end the field or the header block, whatever a client or a plugin puts
into it. It has no bare line break and no NUL, and every continuation line has visible text.

A value that is not ASCII is sent as encoded words (RFC 2047), except for SMTPUTF8 (RFC 6532). Only
the words that need it are encoded, so encoded words of the client stay as they are. In address
fields, encoded words are valid only in display names and comments.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterator

# RFC 5322 s2.1.1 recommends at most 78 characters a line; 76 with encoded words (RFC 2047 s2).
FOLDED = 76
# RFC 5322 s2.1.1: octets of a line, without CRLF.
LONGEST = 998
# Octets in an encoded word, so that it has at most 75 characters in Base64 (RFC 2047 s2).
ENCODED = 45

# RFC 5322 s2.2: a field name is printable ASCII without colon and space.
_NAME = re.compile(r"[!-9;-~]{1,76}")
# A folded value: every line break is CRLF followed by white space and then something visible.
_VALUE = re.compile(r"[^\r\n\0]*(?:\r\n[ \t][^\S\r\n]*[^\s\0][^\r\n\0]*)*")
# A word with the white space in front of it; a line can be folded in front of it.
_WORD = re.compile(r"(?:[ \t]\s*)?\S[^ \t]*")
_GAP_AND_WORD = re.compile(r"([ \t\r\n]*)([^ \t\r\n]+)")
_ENCODED_WORD = re.compile(r"=\?[^?]+\?[^?]+\?[^?]*\?=")


def make_field(name: str, value: str, *, utf8: bool) -> bytes:
    """Return a header field with its final CRLF; raise ValueError if it would be malformed.

    A value without line breaks is folded. `utf8` keeps characters that are not ASCII.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a header field name, found {name!r}")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"header field {name}: line breaks must be CRLF and white space")
    if not (utf8 or value.isascii()):
        value = encode_words(value)
    line = f"{name}: {value}"
    field = (line if "\r\n" in line else _fold(line)).encode()
    if len(field) > LONGEST and max(map(len, field.split(b"\r\n"))) > LONGEST:
        raise ValueError(f"header field {name}: a line has more than {LONGEST} octets")
    return field + b"\r\n"


def _fold(line: str) -> str:
    """Break a line in front of white space; a word that is too long stays in one piece."""
    if len(line) <= FOLDED:
        return line
    text = line.rstrip()
    name, *words = _WORD.findall(text)
    lines, end = [name + "".join(words[:1])], line[len(text) :]
    for word in words[1:]:
        if len(lines[-1]) + len(word) > FOLDED:
            lines.append(word)
        else:
            lines[-1] += word
    return "\r\n".join(lines) + end


def encode_words(value: str) -> str:
    """Return a value in which words that are not ASCII are encoded words (RFC 2047).

    Readers drop the white space between two encoded words, so it is encoded too.
    """
    text = value.rstrip(" \t")
    parts, after_encoded, after_own = list[str](), False, False
    for gap, word in _GAP_AND_WORD.findall(text):
        own = not word.isascii()
        encoded = own or _ENCODED_WORD.fullmatch(word) is not None
        inner = gap.replace("\r\n", "") if after_encoded and (own or after_own) else ""
        parts.append(gap)
        if own:
            parts.append(_encode(inner + word))
        else:
            parts.append(f"{_encode(inner)} {word}" if inner and encoded else word)
        after_encoded, after_own = encoded, own
    return "".join(parts) + value[len(text) :]


def _encode(text: str) -> str:
    return " ".join(
        f"=?utf-8?b?{b2a_base64(part, newline=False).decode()}?=" for part in _parts(text)
    )


def _parts(text: str) -> Iterator[bytes]:
    """Yield the text in UTF-8, in parts that end between two characters."""
    part = b""
    for octets in map(str.encode, text):
        if len(part) + len(octets) > ENCODED:
            yield part
            part = b""
        part += octets
    yield part
