"""IP addresses as other programs write them, in the one form that everything here compares.

Security: an address may become the key of a limit, so each has one spelling only, and what is not
an address is never taken for one.
"""

from ipaddress import IPv4Address, IPv6Address


def ipv4(address: str | bytes) -> str:
    """Return an IPv4 address, dotted or as four octets, as text; raises ValueError."""
    return str(IPv4Address(address))


def ipv6(address: str | bytes) -> str:
    """Return an IPv6 address, written or as sixteen octets, as text; raises ValueError.

    One that stands for an IPv4 address is returned as that; one with a zone is refused, because
    another machine's zones mean nothing here.
    """
    parsed = IPv6Address(address)
    if parsed.scope_id is not None:
        raise ValueError("expected an address without a zone")
    return str(parsed.ipv4_mapped or parsed)
