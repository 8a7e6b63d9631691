"""The addresses that may get aggregate reports about a domain: RFC 9990, and the tag rua.

The record is looked up again when reports are sent. An address of another domain must have agreed:
a record at `DOMAIN._report._dmarc.HOST`. Without it anyone could have reports sent to a stranger.

Limits: the first MOST_ADDRESSES addresses of a record. Only mailto: is used.
"""

import re
from urllib.parse import unquote

import msgspec

from gatepost.mailauth.dmarc.record import parse_record
from gatepost.model.address import Address, AddressError
from gatepost.net.questions import Check, Question, ask_one

MOST_ADDRESSES = 2

_MAILTO = re.compile(r"mailto:([^?#!]+)", re.IGNORECASE)


class Destinations(msgspec.Struct, frozen=True):
    """The addresses for the reports about a domain, and why others are left out."""

    addresses: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def find_destinations(domain: str) -> Check[Destinations]:
    """Return the addresses that may get reports about a policy domain."""
    answer = yield from ask_one("TXT", f"_dmarc.{domain}")
    found = [record for text in answer.records if (record := parse_record(text)) is not None]
    if len(found) != 1:
        return Destinations(problems=(answer.problem or f"{domain} has no DMARC record now",))
    addresses, problems = _addresses(found[0].rua)
    outside = [one for one in addresses if not _is_related(one.domain, domain)]
    refused = yield from _without_consent(outside, domain)
    problems += [f"{one}: {one.domain} has not agreed to get reports" for one in refused]
    usable = [str(one) for one in addresses if one not in refused]
    return Destinations(tuple(usable), tuple(problems))


def _addresses(uris: tuple[str, ...]) -> tuple[list[Address], list[str]]:
    """Return the addresses of the first URIs, and a problem for each that has none."""
    addresses, problems = list[Address](), list[str]()
    for uri in uris[:MOST_ADDRESSES]:
        match = _MAILTO.match(uri)
        try:
            addresses.append(Address.parse(unquote(match[1]) if match else ""))
        except AddressError:
            problems.append(f"{uri[:100]!r}: expected mailto: and an address")
    return addresses, problems


def _is_related(host: str, domain: str) -> bool:
    """Return whether two domains are the same, or one is a subdomain of the other."""
    one, other = f".{host.lower()}", f".{domain.lower()}"
    return one.endswith(other) or other.endswith(one)


def _without_consent(addresses: list[Address], domain: str) -> Check[list[Address]]:
    """Return the addresses whose domains have no record that permits reports about `domain`."""
    if not addresses:
        return []
    names = [f"{domain}._report._dmarc.{one.domain}" for one in addresses]
    answers = yield [Question("TXT", name) for name in names]
    return [
        one
        for one, answer in zip(addresses, answers, strict=True)
        if not any(_permits(text) for text in answer.records)
    ]


def _permits(text: str) -> bool:
    return text.strip().lower().startswith("v=dmarc1")
