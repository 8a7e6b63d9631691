"""The addresses of this machine."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


def unmapped(address: str) -> IPv4Address | IPv6Address:
    """Return an address, as IPv4 if it is IPv4-mapped (RFC 4291 section 2.5.5.2)."""
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def embedded(address: str) -> list[IPv4Address | IPv6Address]:
    """Return an address as `unmapped` does, and the IPv4 address that an IPv6 address leads to.

    These are IPv4-compatible, 6to4 and NAT64 addresses (RFC 4291, RFC 3056, RFC 6052).
    """
    parsed = unmapped(address)
    if parsed.version == 4:
        return [parsed]
    inner = parsed.sixtofour
    if parsed in _COMPATIBLE or parsed in _NAT64:
        inner = IPv4Address(int(parsed) & 0xFFFFFFFF)
    return [parsed] if inner is None else [parsed, inner]


def is_own_address(address: str) -> bool:
    """Return whether an address is one of this machine; only such an address can be bound."""
    parsed = unmapped(address)
    if parsed.is_loopback or parsed.is_unspecified:
        return True
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((str(parsed), 0))
    except OSError:
        return False
    return True
