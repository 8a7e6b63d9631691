"""The addresses of this machine."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address


def unmapped(address: str) -> IPv4Address | IPv6Address:
    """Return an address, as IPv4 if it is IPv4-mapped (RFC 4291 section 2.5.5.2)."""
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


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
