"""AUTH and the responses that follow it: RFC 4954.

A response is one line of base64; `*` cancels the exchange. A client that sends more before the
reply answers a challenge it has not received: the session is closed.

Security: input that cannot be decoded may still be a password. No reply, event or exception
contains any of it.
Limits: a response of MAX_RESPONSE octets; an initial response as long as a command line allows.
"""

import binascii
import re
from base64 import b64decode

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.agreed import Agreed
from gatepost.wire.smtp.input_buffer import InputBuffer

# RFC 4954 s4: 12288 octets with CRLF
MAX_RESPONSE = 12_288

# RFC 4422 s3.1; clients may write it in lower case
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")
_CANCEL = b"*"
_EMPTY = "="


def parse_auth(agreed: Agreed, text: str) -> e.Event:
    """Parse AUTH SP mechanism [SP initial-response]."""
    if agreed.authenticated:
        return e.Fault(r.AUTH_ALREADY)
    if agreed.followed:
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


def parse_auth_in_clear(_agreed: Agreed, _text: str) -> e.Event:
    """Refuse AUTH before TLS, with any arguments."""
    return e.Fault(r.AUTH_NEEDS_TLS)


class ResponseReader:
    """Reads one response. It has no state, so all connections share one."""

    __slots__ = ()

    def read(self, source: InputBuffer) -> e.Event | None:
        """Return the response when its line is complete."""
        line = source.next_line(MAX_RESPONSE)
        if line is None:
            return None
        if isinstance(line, Reply):
            return e.Fault(r.AUTH_TOO_LONG if line is r.LINE_TOO_LONG else line)
        return e.Fault(r.AUTH_NOT_ALONE) if source.unread else _response(line)


def _response(line: bytes) -> e.Event:
    if line == _CANCEL:
        return e.Fault(r.AUTH_CANCELLED)
    data = _decoded(line)
    return e.Fault(r.AUTH_BASE64) if data is None else e.AuthResponse(data)


def _decoded(text: bytes) -> bytes | None:
    """Return the octets that base64 stands for, or None if it is malformed."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
