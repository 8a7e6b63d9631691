"""AUTH and the responses after it: RFC 4954.

A response is a line of base64 and nothing else; `*` cancels. A client that sends more before it
has been answered does not know what it is answering: the session is closed.

Security: what cannot be decoded may be a password all the same. It is dropped where it stands: no
reply, no event and no exception has any of it.
Limits: a response of MAX_RESPONSE octets; one with the command, as long as a command line.
"""

import binascii
import re
from base64 import b64decode
from typing import TYPE_CHECKING

from gatepost.wire import events as e
from gatepost.wire.smtp import replies as r

if TYPE_CHECKING:
    from gatepost.wire.smtp.server import SmtpServer

# RFC 4954 s4: 12288 octets with CRLF
MAX_RESPONSE = 12_288

# RFC 4422 s3.1; a client may write it in lower case
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")
_CANCEL = b"*"
_EMPTY = "="


def parse_auth(wire: "SmtpServer", text: str) -> e.Event:
    """AUTH SP mechanism [SP initial-response]."""
    if wire.authenticated:
        return e.Fault(r.AUTH_ALREADY)
    if wire.unread:
        return e.Fault(r.AUTH_NOT_ALONE)
    words = text.split()
    if len(words) not in (1, 2) or not _MECHANISM.fullmatch(words[0]):
        return e.Fault(r.AUTH_SYNTAX)
    mechanism = words[0].upper()
    if len(words) == 1:
        return e.Auth(mechanism, None)
    if words[1] == _EMPTY:
        return e.Auth(mechanism, b"")
    initial = _decoded(words[1].encode())
    return e.Fault(r.AUTH_BASE64) if not initial else e.Auth(mechanism, initial)


def parse_auth_in_clear(_wire: "SmtpServer", _text: str) -> e.Event:
    """Refuse AUTH where TLS has to come first, whatever its arguments are."""
    return e.Fault(r.AUTH_NEEDS_TLS)


class ResponseReader:
    """Reads one response; keeps nothing, so one serves all connections."""

    __slots__ = ()

    def ingest(self, buffer: bytes, at: int) -> tuple[e.Event | None, int]:
        """Return the response once its line is complete, and the new position."""
        end = buffer.find(b"\n", at)
        if (end if end >= 0 else len(buffer)) - at >= MAX_RESPONSE:
            return e.Fault(r.AUTH_TOO_LONG), at
        if end < 0:
            return None, at
        if not buffer.endswith(b"\r", at, end):
            return e.Fault(r.BAD_LINE_ENDING), at
        if end + 1 < len(buffer):
            return e.Fault(r.AUTH_NOT_ALONE), end + 1
        return _response(buffer[at : end - 1]), end + 1


def _response(line: bytes) -> e.Event:
    if line == _CANCEL:
        return e.Fault(r.AUTH_CANCELLED)
    data = _decoded(line)
    return e.Fault(r.AUTH_BASE64) if data is None else e.AuthResponse(data)


def _decoded(text: bytes) -> bytes | None:
    """Return what base64 stands for, None if it is none."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
