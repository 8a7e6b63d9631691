"""Read the names of attached files as other programs do: fast_mail_parser, and the email package.

A sender who hides a name relies on a reader that does not find it. With three readers that have
nothing in common, the name must be hidden from all of them.

Trusts: the structure is within `gatepost.plugins._mime.Limits`. The email package reads a content
without lines that are neither a boundary nor a header field nor empty, such as base64 and most of a
text: no reader finds a name there, and it would take long. Limits: if more than LARGEST octets
remain, the email package does not read them.
"""

import importlib
import re
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

from gatepost.plugins._mime_fields import decoded_words

LIBRARY = "fast_mail_parser"
LARGEST = 2 * 1024 * 1024
_PIECE = 128 * 1024
_INERT = rb"[^\s:-][^:\r\n]*\r?\n"
_INERT_LINES = re.compile(rb"(?m)^%s(?:%s)+" % (_INERT, _INERT))


def other_names(content: bytes) -> list[str]:
    """Return the names that the other readers see; one that cannot read the content sees none."""
    return list(dict.fromkeys(map(decoded_words, _fast_names(content) + _standard_names(content))))


def _fast_names(content: bytes) -> list[str]:
    library: Any = importlib.import_module(LIBRARY)
    try:
        tree = library.parse_email_tree(content, mode="metadata")
    except library.ParseError:
        return []
    return [part.filename for part in library.walk(tree) if part.filename]


def _standard_names(content: bytes) -> list[str]:
    content = without_inert_lines(content)
    if len(content) > LARGEST:
        return []
    try:
        message = BytesParser(policy=compat32).parsebytes(content)
    except (ValueError, LookupError, TypeError, RecursionError, AttributeError):
        return []
    return [name for part in message.walk() if (name := _standard_name(part))]


def _standard_name(part: Message) -> str:
    try:
        return part.get_filename("")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def without_inert_lines(content: bytes) -> bytes:
    """Return a content with only the first one of inert lines that follow each other."""
    pieces, at = [], 0
    while at < len(content):
        end = content.rfind(b"\n", at, at + _PIECE) + 1
        end = end if end > at else min(at + _PIECE, len(content))
        pieces.append(_INERT_LINES.sub(_first_line, content[at:end]))
        at = end
    return b"".join(pieces)


def _first_line(lines: re.Match[bytes]) -> bytes:
    return lines[0][: lines[0].find(b"\n") + 1]
