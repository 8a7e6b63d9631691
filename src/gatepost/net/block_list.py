"""Lists of addresses and domains in the DNS (DNSBL, DNSWL): RFC 5782.

An IP address is looked up with its octets or hexadecimal digits reversed, in front of the zone of
the list: 2.0.0.127.bl.example. An A record within 127.0.0.0/8 means that it is listed.

Security: other addresses are ignored: the zone has expired and is parked, or a resolver on the way
replaces "no such name". Answers within 127.255.255.0/24 are errors of the list (blocked resolver,
too many queries), not entries; they raise `ResolveError`.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gatepost.model.address import domain_key
from gatepost.model.endpoint import Endpoint
from gatepost.net.resolve_error import NoSuchNameError, ResolveError

_LISTED = ip_network("127.0.0.0/8")
_ERRORS = ip_network("127.255.255.0/24")

# The errors that lists share, such as Spamhaus and others with the same software.
ERRORS: Mapping[str, str] = {
    "127.255.255.252": "the name of the zone is misspelt",
    "127.255.255.254": "queries by a public resolver are refused",
    "127.255.255.255": "too many queries",
}

Listable = Endpoint | IPv4Address | IPv6Address | str


async def find_listed(
    look_up: Callable[[str], Awaitable[list[str]]], what: Listable, zone: str
) -> list[str] | None:
    """Return the addresses that a list has for an IP address or domain, None if it is not listed.

    `look_up` returns the A records of a name. Raises `ResolveError`.
    """
    name = query_name(what, zone)
    try:
        found = [ip_address(one) for one in await look_up(name)]
    except NoSuchNameError:
        return None
    listed = [one for one in found if one in _LISTED]
    for one in listed:
        if one in _ERRORS:
            known = ERRORS.get(str(one))
            meaning = f" ({known})" if known else ""
            raise ResolveError(f"{name}: the list answers with the error {one}{meaning}")
    return [str(one) for one in sorted(listed)] or None


def query_name(what: Listable, zone: str) -> str:
    """Return the name to look up for an IP address or a domain."""
    pointer = reverse_pointer(what)
    labels = domain_key(str(what)) if pointer is None else pointer.rsplit(".", 2)[0]
    return f"{labels}.{domain_key(zone)}"


def reverse_pointer(what: Listable) -> str | None:
    """Return the name of the PTR records of an IP address, None for other text."""
    return _reverse_pointer(what.host if isinstance(what, Endpoint) else str(what))


@lru_cache(1024)  # the same client is looked up in several lists
def _reverse_pointer(text: str) -> str | None:
    address = as_address(text)
    return None if address is None else address.reverse_pointer


def as_address(what: Listable) -> IPv4Address | IPv6Address | None:
    """Return an IP address, None for other text; an IPv4 address in an IPv6 address is IPv4."""
    text = what.host if isinstance(what, Endpoint) else str(what)
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
