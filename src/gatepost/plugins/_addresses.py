"""The addresses of clients and mail servers, and the networks that are not the Internet's.

An IPv6 address that contains an IPv4 address (mapped, 6to4, NAT64) is that IPv4 address: lists and
records are about the IPv4 address. The interface in a link-local address is left out.

Limits: the caches only save time; a client cannot make them grow beyond REMEMBERED entries.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from gatepost import NetworkList, Session

IpAddress = IPv4Address | IPv6Address

REMEMBERED = 4096

# Networks that are not the Internet's: RFC 1918, 6598, 1122, 3927, 4291, 4193. They are the usual
# exemption of all plugins.
INTERNAL = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    *("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10", "fc00::/7"),
)
# No host of the Internet has an address in these networks either: RFC 1122, 5771, 1112, 4291.
NO_HOST = ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8", "fec0::/10")

_INTERNAL = tuple(map(ip_network, INTERNAL))
_NO_HOST = tuple(map(ip_network, NO_HOST))
# RFC 6052 s2.1
_NAT64 = IPv6Network("64:ff9b::/96")


@lru_cache(REMEMBERED)
def packet_address(text: str) -> IpAddress | None:
    """Return the address that the packets of a host have, None for other text."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


@lru_cache(REMEMBERED)
def parse_address(text: str) -> IpAddress | None:
    """Return an IP address, None for other text, such as the path of a Unix socket."""
    address = packet_address(text)
    if not isinstance(address, IPv6Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


def is_internal(address: IpAddress) -> bool:
    """Return whether an address is one of an internal network, or of this machine."""
    return any(address in network for network in _INTERNAL)


def is_bogus(address: IpAddress) -> bool:
    """Return whether no host of the Internet can have this address."""
    return is_internal(address) or any(address in network for network in _NO_HOST)


def address_of(session: Session) -> str:
    """Return the address of a client as text; that of a Unix socket is its path."""
    return str(parse_address(session.peer.host) or session.peer.host)


def is_trusted(session: Session, networks: NetworkList) -> bool:
    """Return whether a client is not to be checked.

    It has authenticated, is in a network of `relay_for` or in `networks`, or has no address.
    """
    if session.auth is not None or session.in_relay_network:
        return True
    address = parse_address(session.peer.host)
    if address is None:
        return True
    # A list without files does not change.
    return address in networks if networks.files else _is_within(address, networks)


@lru_cache(REMEMBERED)
def _is_within(address: IpAddress, networks: NetworkList) -> bool:
    return address in networks
