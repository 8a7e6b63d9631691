"""Lists of addresses and domains in the DNS (DNSBL, DNSWL): RFC 5782.

An IP address is looked up with its octets or hexadecimal digits reversed, in front of the zone of
the list: 2.0.0.127.bl.example. An A record within 127.0.0.0/8 means that it is listed.

Security: other addresses are ignored: the zone has expired and is parked, or a resolver on the way
replaces "no such name". Answers within 127.255.255.0/24 are errors of the list (blocked resolver,
too many queries), not entries; they raise `ResolveError`.
"""

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gatepost.model.address import domain_key
from gatepost.model.endpoint import Endpoint
from gatepost.net.resolve_error import NoSuchNameError, ResolveError

_LISTED = ip_network("127.0.0.0/8")
_ERRORS = ip_network("127.255.255.0/24")

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
            raise ResolveError(f"{name}: the list answers with the error {one}")
    return [str(one) for one in sorted(listed)] or None


def query_name(what: Listable, zone: str) -> str:
    """Return the name to look up for an IP address or a domain."""
    address = as_address(what)
    if address is None:
        return f"{domain_key(str(what))}.{domain_key(zone)}"
    labels = address.reverse_pointer.split(".")[:-2]  # without in-addr.arpa or ip6.arpa
    return f"{'.'.join(labels)}.{domain_key(zone)}"


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
