"""The arguments of MAIL and RCPT: RFC 5321 sections 4.1.1.2, 4.1.1.3 and 4.1.2.

    Reverse-path = Path / "<>"
    Forward-path = Path / "<Postmaster>"
    Path         = "<" [ A-d-l ":" ] Mailbox ">"
    A-d-l        = At-domain *( "," At-domain )

A source route is accepted and ignored (RFC 5321 appendix C). `strict_paths` is this grammar, with
the literals that RFC 5321 section 4.1.3 leaves: IPv6 is the only registered tag, and `::` stands
for at least two groups. `LENIENT`, the default, also accepts what Postfix accepts from clients in
practice: no angle brackets, blanks after the colon, and the addresses of `LENIENT_MAILBOX`.
"""

import re
from collections.abc import Sequence
from functools import cache

from gatepost.model.address import (
    DOMAIN,
    DOT_STRING,
    LENIENT_DOMAIN,
    LENIENT_MAILBOX,
    NULL_PATH,
    QUOTED_STRING,
    Address,
    from_parts,
)

# IPv6-comp has at most six groups with "::", and an IPv4 address counts as two.
_NOT_SEVEN = r"(?!(?::*+[0-9A-Fa-f]++){7})(?!(?::*+[0-9A-Fa-f]++){5}:+[0-9]+\.)"
_IPV6 = rf"[Ii][Pp][Vv]6:(?:(?![^\]]*::)|{_NOT_SEVEN})[0-9A-Fa-f:.]+"
_STRICT_LITERAL = rf"\[(?:[0-9.]+|{_IPV6})\]"
_MAILBOX = rf"({DOT_STRING}|{QUOTED_STRING})@({DOMAIN}|{_STRICT_LITERAL})"
_REST = r"(?: +(.*))?"

_FROM = "[Ff][Rr][Oo][Mm]:"
_TO = "[Tt][Oo]:"
_NULL = ""
_POSTMASTER = "[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]"


def _bracketed(domain: str, mailbox: str, special: str) -> str:
    # The domain is in the pattern once, because it takes long to compile.
    route = rf"(?:@{domain}(?:,(?=@)|(?=:)))+:"
    return rf"<(?:(?:{route})?{mailbox}|({special}))>"


def _strict(special: str) -> str:
    return _bracketed(DOMAIN, _MAILBOX, special) + _REST


def _lenient(special: str) -> str:
    bracketed = _bracketed(LENIENT_DOMAIN, LENIENT_MAILBOX, special)
    return rf" *(?:{bracketed}|{LENIENT_MAILBOX}){_REST}"


LENIENT = {
    "MAIL": re.compile(_FROM + _lenient(_NULL)),
    "RCPT": re.compile(_TO + _lenient(_POSTMASTER)),
}


@cache
def strict_paths() -> dict[str, re.Pattern[str]]:
    """Return the patterns of the strict grammar. They take milliseconds to compile."""
    return {
        "MAIL": re.compile(_FROM + _strict(_NULL)),
        "RCPT": re.compile(_TO + _strict(_POSTMASTER)),
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
    return from_parts(local, host)
