"""The arguments of MAIL and RCPT: RFC 5321 sections 4.1.1.2, 4.1.1.3 and 4.1.2.

    Reverse-path = Path / "<>"
    Forward-path = Path / "<Postmaster>"
    Path         = "<" [ A-d-l ":" ] Mailbox ">"
    A-d-l        = At-domain *( "," At-domain )

A source route is accepted and ignored (RFC 5321 appendix C). `LENIENT` also accepts two common
errors of senders: no angle brackets, and blanks after the colon.
"""

import re
from collections.abc import Sequence

from gatepost.model.address import (
    ADDRESS_LITERAL,
    DOMAIN,
    DOT_STRING,
    NULL_PATH,
    QUOTED_STRING,
    Address,
)

_LOCAL = rf"{DOT_STRING}|{QUOTED_STRING}"
_HOST = rf"{DOMAIN}|{ADDRESS_LITERAL}"
_ROUTE = rf"(?:@{DOMAIN}(?:,@{DOMAIN})*:)?"
_REST = r"(?: +(.*))?"

_FROM = "[Ff][Rr][Oo][Mm]:"
_TO = "[Tt][Oo]:"
_NULL = ""
_POSTMASTER = "[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]"


def _strict(special: str) -> str:
    return rf"<(?:{_ROUTE}({_LOCAL})@({_HOST})|({special}))>{_REST}"


def _lenient(special: str) -> str:
    bracketed = rf"<(?:{_ROUTE}({_LOCAL})@({_HOST})|({special}))>"
    return rf" *(?:{bracketed}|({_LOCAL})@({_HOST})){_REST}"


STRICT = {
    "MAIL": re.compile(_FROM + _strict(_NULL)),
    "RCPT": re.compile(_TO + _strict(_POSTMASTER)),
}
LENIENT = {
    "MAIL": re.compile(_FROM + _lenient(_NULL)),
    "RCPT": re.compile(_TO + _lenient(_POSTMASTER)),
}


def parse_path(groups: Sequence[str | None]) -> Address:
    """Return the path in the groups of a match of these patterns. Raises `AddressError`."""
    local, host = groups[0], groups[1]
    if local is None or host is None:
        special = groups[2]
        if special is not None:
            return Address(special, "") if special else NULL_PATH
        local, host = groups[3], groups[4]  # without angle brackets
        assert local is not None
        assert host is not None
    return Address.from_parts(local, host)
