"""The author domain of a message: RFC 9989 section 5.3.1.

It is the domain of the addresses in From. DMARC needs exactly one: a message with several From
fields, with addresses of several domains or without a domain has none. So has a message whose From
field cannot be read, because the recipient's program could read another address than this one.

The grammar is that of `gatepost.mailauth.mailboxes`. A domain in UTF-8 becomes A-labels.

Security: the field comes from a client. Nothing is raised, and the time is linear.

Limits: MAX_FIELD octets of a field, and MOST_ADDRESSES addresses in it.
"""

import re
from itertools import islice
from typing import NamedTuple

from gatepost.mailauth.mailboxes import MailboxError, read_mailboxes
from gatepost.model.address import AddressError, parse_domain
from gatepost.model.headers import places

MAX_FIELD = 16_384
MOST_ADDRESSES = 100

_SHOWN = 3  # domains in a problem

# Most fields have one plain address, with or without a display name: no token needs to be made.
_ONE_PLAIN = re.compile(
    r"""[ ]*+(?:(?:"[^"\\\0-\x1f\x7f]*+"|[^"\\(),:;<>@\[\]\0-\x1f\x7f]*+)[ ]*+<)?+"""
    r"(?!\.*@)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]++@([A-Za-z0-9.-]++)(>?)[ ]*+"
)


class Author(NamedTuple):
    """The author domain as A-labels in lower case; "" if there is none, for the `problem`."""

    domain: str = ""
    problem: str = ""


def read_author(header_block: bytes) -> Author:
    """Return the author domain of a message; its lines end in CRLF."""
    found = list(islice(places(header_block, "From"), 2))
    if len(found) != 1:
        return Author(problem="more than one From field" if found else "no From field")
    place = found[0]
    if place.end - place.value > MAX_FIELD:
        return Author(problem=f"From has more than {MAX_FIELD} octets")
    value = header_block[place.value : place.end].decode("utf-8", "replace")
    plain = _ONE_PLAIN.fullmatch(value)
    try:
        if plain is not None and bool(plain[2]) == ("<" in value):
            return Author(_key(plain[1]))
        return _one([one.domain for one in islice(read_mailboxes(value), MOST_ADDRESSES + 1)])
    except MailboxError as error:
        return Author(problem=f"From {error}")


def _one(domains: list[str]) -> Author:
    """Return the one domain of all addresses."""
    if len(domains) > MOST_ADDRESSES:
        raise MailboxError(f"has more than {MOST_ADDRESSES} addresses")
    names = list(dict.fromkeys(map(_key, domains)))
    if len(names) == 1:
        return Author(names[0])
    if not names:
        raise MailboxError("has no address")
    more = " …" if len(names) > _SHOWN else ""
    shown = ", ".join(names[:_SHOWN])
    raise MailboxError(f"has addresses of several domains: {shown}{more}")


def _key(domain: str) -> str:
    try:
        return parse_domain(domain)
    except AddressError as error:
        raise MailboxError(f"has a wrong address: {error}") from None
