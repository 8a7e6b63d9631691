"""Tags in the sender of outgoing mail, by which its bounces are recognised (BATV).

The format is `prvs=KDDDSSSSSS=local@domain` of the draft "Bounce Address Tag Validation": the
number of the key, the last valid day (days since 1970, modulo 1000) and the first three octets of
the HMAC-SHA-1 of number, day and address. Exim has the same tags (`${prvs…}`). Servers between may
change the case of letters, so the address is signed in lower case.

Security: a tag is compared in constant time. It has 24 bits: a forger must guess millions of
recipients. Every receiver of a message can send bounces to its tag until the last day.
"""

import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

from gatepost import Address

DAY = 86400
_DAYS = 1000
_DIGITS = 6
_MAX_LOCAL = 64  # RFC 5321 s4.5.3.1.1

_TAG = re.compile(r"(?i)prvs=([0-9])([0-9]{3})([0-9a-f]{6})=(.+)", re.ASCII | re.DOTALL)


class Tag(NamedTuple):
    """The number of the key, the last day, the digest, and the local part without the tag."""

    number: str
    day: str
    digest: str
    local: str


def read_tag(local: str) -> Tag | None:
    """Return the parts of a tagged local part, None for another one."""
    found = _TAG.fullmatch(local)
    return None if found is None else Tag(*found.groups())


def add_tag(address: Address, number: str, key: str, last_day: int) -> Address | None:
    """Return an address with a tag that is valid until a day; None if it would be too long."""
    day = f"{last_day % _DAYS:03}"
    local = f"prvs={number}{day}{_digest(number, day, address, key)}={address.local}"
    return Address(local, address.domain) if len(local.encode()) <= _MAX_LOCAL else None


def is_valid(tag: Tag, domain: str, keys: Mapping[str, str], today: int, lifetime: int) -> bool:
    """Return whether one of the keys has made a tag, and its last day is at most `lifetime` away.

    `keys` are by their numbers, `today` is in days since 1970.
    """
    key = keys.get(tag.number)
    if key is None:
        return False
    expected = _digest(tag.number, tag.day, Address(tag.local, domain), key)
    is_signed = hmac.compare_digest(expected, tag.digest.lower())
    return is_signed and (int(tag.day) - today) % _DAYS <= lifetime


def _digest(number: str, day: str, address: Address, key: str) -> str:
    signed = f"{number}{day}{address}".lower().encode("utf-8", "surrogateescape")
    return hmac.new(key.encode(), signed, "sha1").hexdigest()[:_DIGITS]
