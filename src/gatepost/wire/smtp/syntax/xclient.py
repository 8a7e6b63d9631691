"""XCLIENT: a trusted proxy names the real client (Postfix, XCLIENT_README).

Values are xtext (RFC 3461 section 4). Names, `[UNAVAILABLE]`, `[TEMPUNAVAIL]` and `IPV6:` are read
in any case; the event has them in upper case. Its addresses are canonical.

Security: a client with XCLIENT can claim any address. It is off unless the caller adds it to
`gatepost.wire.smtp.server.SmtpServer.extensions`.
"""

import re
from collections.abc import Callable

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.ip import ipv4, ipv6
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.agreed import Agreed
from gatepost.wire.smtp.syntax.xtext import decode_xtext

UNAVAILABLE = "[UNAVAILABLE]"
TEMPORARILY_UNAVAILABLE = "[TEMPUNAVAIL]"

# XCLIENT_README, note 1: "syntactically valid NAME and HELO attributes" have at most 255.
MAX_VALUE = 255

_UNKNOWN = (UNAVAILABLE, TEMPORARILY_UNAVAILABLE)
_IPV6 = "IPV6:"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_PORT = re.compile(r"[0-9]{1,5}")


def _text(value: str) -> str:
    if not value:
        raise ValueError("expected a value")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("expected a host name")
    return value


def _address(value: str) -> str:
    try:
        has_prefix = value[: len(_IPV6)].upper() == _IPV6
        return ipv6(value[len(_IPV6) :]) if has_prefix else ipv4(value)
    except ValueError:
        raise ValueError("expected an IPv4 address, or IPV6: and an IPv6 address") from None


def _port(value: str) -> str:
    if not _PORT.fullmatch(value) or int(value) > 0xFFFF:
        raise ValueError("expected a port")
    return value


def _protocol(value: str) -> str:
    if value.upper() not in ("SMTP", "ESMTP"):
        raise ValueError("expected SMTP or ESMTP")
    return value.upper()


ATTRIBUTES: dict[str, Callable[[str], str]] = {
    "NAME": _name,
    "ADDR": _address,
    "PORT": _port,
    "PROTO": _protocol,
    "HELO": _text,
    "LOGIN": _text,
    "DESTADDR": _address,
    "DESTPORT": _port,
}
# The keyword for the reply to EHLO.
KEYWORD = f"XCLIENT {' '.join(ATTRIBUTES)}"


def parse_xclient(_agreed: Agreed, text: str) -> e.Event:
    """Parse XCLIENT 1*( SP attribute-name "=" attribute-value )."""
    attributes: dict[str, str] = {}
    for word in text.split() if text.isascii() else ():
        name, separator, value = word.partition("=")
        name = name.upper()
        if not separator or name not in ATTRIBUTES or name in attributes:
            return e.Fault(r.XCLIENT_SYNTAX)
        try:
            attributes[name] = _value(name, value)
        except ValueError as error:
            return e.Fault(Reply(501, f"XCLIENT attribute {name}: {error}", "5.5.4"))
    return e.Xclient(attributes) if attributes else e.Fault(r.XCLIENT_SYNTAX)


def _value(name: str, value: str) -> str:
    if value.upper() in _UNKNOWN:
        return value.upper()
    decoded = decode_xtext(value)
    if len(decoded) > MAX_VALUE:
        raise ValueError(f"expected at most {MAX_VALUE} characters")
    return ATTRIBUTES[name](decoded)
