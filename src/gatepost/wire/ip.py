"""IP addresses from other programs, in canonical form.

Security: an address may become the key of a limit, so each has exactly one spelling, and no other
text is accepted.
"""

from ipaddress import IPv4Address, IPv6Address


def ipv4(address: str | bytes) -> str:
    """Return an IPv4 address, given as text or four octets, as text. Raises ValueError."""
    return str(IPv4Address(address))


def ipv6(address: str | bytes) -> str:
    """Return an IPv6 address, given as text or sixteen octets, as text. Raises ValueError.

    An IPv4-mapped address is returned as IPv4. A zone is refused, because the zones of another
    machine mean nothing here.
    """
    parsed = IPv6Address(address)
    if parsed.scope_id is not None:
        raise ValueError("expected an address without a zone")
    return str(parsed.ipv4_mapped or parsed)
