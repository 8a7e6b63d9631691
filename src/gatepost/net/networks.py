"""Membership of a host in networks of the configuration."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]


def is_within(host: str, networks: Networks) -> bool:
    """Return whether a host, by its address as text, is in one of the networks.

    The other end of a Unix socket has no IP address and is in none.
    """
    if not networks:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
