"""Which hosts are trusted: membership in the networks that the configuration names."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]


def is_within(host: str, networks: Networks) -> bool:
    """Whether a host, by its address as text, is in one of the networks.

    What is no IP address, such as the other end of a Unix socket, is in none.
    """
    if not networks:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
