"""Networks as other servers write them.

qpsmtpd and qmail write a network as the beginning of an address that ends with a dot or a colon:
`192.168.` is 192.168.0.0/16. Haraka allows bits after the prefix: `192.0.2.1/24` is 192.0.2.0/24.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import TypeAlias, TypeVar

Network: TypeAlias = IPv4Network | IPv6Network
_Version = TypeVar("_Version", IPv4Network, IPv6Network)

_EXPECTED = "expected an address or a network such as 192.0.2.1 or 192.0.2.0/24"
_IPV4_BEGINNING = re.compile(r"(?:[0-9]{1,3}\.){1,3}")
_IPV6_BEGINNING = re.compile(r"(?:[0-9a-fA-F]{1,4}:){1,7}")


def parse_network(text: str) -> Network:
    """Return the network of a text; raises ValueError with what was expected."""
    try:
        return ip_network(_completed(text), strict=False)
    except ValueError:
        raise ValueError(_EXPECTED) from None


def _completed(text: str) -> str:
    """Return the beginning of an address as a network, other texts unchanged."""
    if _IPV4_BEGINNING.fullmatch(text):
        octets = text.count(".")
        return f"{text}{'.'.join(['0'] * (4 - octets))}/{8 * octets}"
    if _IPV6_BEGINNING.fullmatch(text):
        return f"{text}:/{16 * text.count(':')}"
    return text


def without(networks: Iterable[Network], excluded: Iterable[Network]) -> list[Network]:
    """Return networks without the addresses of others, sorted, IPv4 first."""
    left = list(networks)
    for one in excluded:
        left = [part for network in left for part in _minus(network, one)]
    return [*_collapsed(left, IPv4Network), *_collapsed(left, IPv6Network)]


def _minus(network: Network, excluded: Network) -> Iterator[Network]:
    if isinstance(network, IPv4Network) and isinstance(excluded, IPv4Network):
        return _parts(network, excluded)
    if isinstance(network, IPv6Network) and isinstance(excluded, IPv6Network):
        return _parts(network, excluded)
    return iter([network])


def _parts(network: _Version, excluded: _Version) -> Iterator[_Version]:
    if not network.overlaps(excluded):
        yield network
    elif network.prefixlen < excluded.prefixlen:
        yield from network.address_exclude(excluded)


def _collapsed(networks: Iterable[Network], version: type[_Version]) -> Iterator[_Version]:
    return collapse_addresses([one for one in networks if isinstance(one, version)])
