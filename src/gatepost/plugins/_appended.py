"""A text at the end of a message, so that MIME stays valid.

A message that is one part of plain text gets the text behind its own, in its character set and
transfer encoding; one of HTML gets the HTML before the end of its body. Where that is not possible,
and for all other messages, the message becomes the first part of a multipart/mixed and the text the
second (RFC 2046 section 5.1.3). Octets of that first part stay as they are.

Trusts: nothing in the message. A body that cannot be decoded is wrapped. The time is linear.
"""

import binascii
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from typing import NamedTuple

MAX_LINE = 998  # RFC 5322 s2.1.1

_LINE = b"\r\n"
# Character sets in which the octets of ASCII are ASCII, whatever is in front of them.
_PLAIN_CHARSETS = re.compile(r"us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]")
_IDENTITY = ("", "7bit", "8bit", "binary")
_END_OF_HTML = (b"</body", b"</html")
# RFC 3676 s4.4: a line of format=flowed that starts like this has a space in front.
_STUFFED = re.compile(r"(?m)^(?=[ >]|From )")

Change = Callable[[bytes], bytes]


class Appendix(NamedTuple):
    """The text to append, and its HTML, "" for none; both with LF as line ends."""

    text: str
    html: str = ""


def encoding_of(fields: Message) -> str:
    """Return the transfer encoding in lower case, "" without one."""
    return str(fields.get("Content-Transfer-Encoding", "")).strip().lower()


def appended(fields: Message, body: bytes, what: Appendix) -> bytes | None:
    """Return the body of a text with the appendix; None if it must be wrapped instead."""
    charset = str(fields.get_content_charset("us-ascii"))
    if not _PLAIN_CHARSETS.fullmatch(charset):
        return None
    kind, encoding = fields.get_content_type(), encoding_of(fields)
    if kind == "text/html" and what.html:
        html = what.html.encode("ascii", "xmlcharrefreplace").replace(b"\n", _LINE)
        return _changed(encoding, body, lambda octets: _with_html(octets, html))
    text = _octets(what.text, charset, is_flowed=fields.get_param("format") == "flowed")
    if kind != "text/plain" or text is None or (encoding in ("", "7bit") and not text.isascii()):
        return None
    return _changed(encoding, body, lambda octets: _with_text(octets, text))


def _octets(text: str, charset: str, *, is_flowed: bool) -> bytes | None:
    """Return a text with CRLF in a character set, None if that lacks a character."""
    lines = _STUFFED.sub(" ", text) if is_flowed else text
    try:
        return lines.replace("\n", "\r\n").encode(charset)
    except (UnicodeEncodeError, LookupError):
        return None


def _changed(encoding: str, body: bytes, change: Change) -> bytes | None:
    """Return a body with its text changed, in the same transfer encoding; None if it is damaged."""
    if encoding in _IDENTITY:
        return change(body)
    if encoding == "quoted-printable":
        text = binascii.a2b_qp(body)
        # Other line ends than CRLF would be line ends of the body.
        is_text = text.count(b"\r") == text.count(_LINE) == text.count(b"\n")
        return binascii.b2a_qp(change(text), istext=True) if is_text else None
    if encoding != "base64":
        return None
    try:
        text = binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error:
        return None
    return base64_lines(change(text))


def base64_lines(octets: bytes) -> bytes:
    """Return octets in Base64, in lines of 76 characters."""
    size = 57
    starts = range(0, len(octets), size)
    lines = (binascii.b2a_base64(octets[at : at + size], newline=False) for at in starts)
    return b"".join(line + _LINE for line in lines)


def _with_text(octets: bytes, text: bytes) -> bytes:
    return _ended(octets) + _LINE + text + _LINE


def _with_html(octets: bytes, html: bytes) -> bytes:
    lower = octets.lower()
    places = [at for tag in _END_OF_HTML if (at := lower.rfind(tag)) >= 0]
    at = places[0] if places else len(octets)
    return octets[:at] + _LINE + html + _LINE + octets[at:]


def _ended(octets: bytes) -> bytes:
    return octets if not octets or octets.endswith(_LINE) else octets + _LINE


def text_part(text: str) -> bytes:
    """Return a text as a part of a multipart: its fields, an empty line, the encoded text."""
    octets = text.replace("\n", "\r\n").encode()
    plain = octets.isascii()
    charset, encoding = ("us-ascii", "7bit") if plain else ("utf-8", "base64")
    head = (
        f"Content-Type: text/plain; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\nContent-Disposition: inline\r\n\r\n"
    )
    return head.encode() + (octets + _LINE if plain else base64_lines(octets))


def new_boundary() -> str:
    """Return a boundary that no message contains: a random one."""
    return f"=_{secrets.token_hex(16)}"


def wrapped(boundary: str, fields: bytes, body: Iterable[bytes], part: bytes) -> Iterator[bytes]:
    """Yield the body of a multipart with a message and a part; `fields` are its Content- fields."""
    start = b"--" + boundary.encode()
    yield start + _LINE + fields + _LINE
    yield from body
    yield _LINE + start + _LINE + part + start + b"--" + _LINE
