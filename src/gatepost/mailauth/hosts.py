"""Host names and IP addresses in questions and answers, for the checks of a client's address."""

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

from gatepost.net.questions import Answer, Check, Kind, Question

MAX_NAME = 253  # RFC 1035 s2.3.4, as text without the final dot
MAX_LABEL = 63

IPAddress = IPv4Address | IPv6Address


def plain_address(ip: str | IPAddress) -> IPAddress:
    """Return an IP address; one of IPv4 within IPv6 (::ffff:0:0/96) is of IPv4.

    An IPv6 address has no scope. Raises ValueError for text that is no IP address.
    """
    address = ip_address(ip)
    if address.version == 4:
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def is_name(name: str) -> bool:
    """Return whether a name can be looked up: ASCII, labels of 1 to 63 octets."""
    if not name.isascii() or not 0 < len(name) <= MAX_NAME:
        return False
    return all(0 < len(label) <= MAX_LABEL for label in name.split("."))


def addresses(answer: Answer, version: int) -> list[int]:
    """Return the addresses of an IP version in an answer as numbers; other text is left out."""
    numbers = (_number(text, version) for text in answer.records)
    return [one for one in numbers if one is not None]


def _number(text: str, version: int) -> int | None:
    try:
        return int(IPv4Address(text) if version == 4 else IPv6Address(text))
    except AddressValueError:
        return None


def address_kind(version: int) -> Kind:
    """Return the type of the records with addresses of an IP version."""
    return "A" if version == 4 else "AAAA"


def ask_addresses(names: Sequence[str], version: int) -> Check[Sequence[Answer]]:
    """Ask for the addresses of names at the same time; return an answer for each."""
    if not names:
        return ()
    kind = address_kind(version)
    return (yield [Question(kind, name) for name in names])
