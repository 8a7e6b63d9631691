"""The clients that may send to foreign domains through a route: `relay_for` of `[[route]]`.

In the configuration it is "none", "authenticated", or an array of "authenticated" and networks.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from gatepost.config.kinds import ScalarKind

AUTHENTICATED = "authenticated"
_NONE = "none"
_WORDS = (_NONE, AUTHENTICATED)

Network = IPv4Network | IPv6Network

# All IPv4 addresses, as IPv6 addresses (RFC 4291 section 2.5.5.2).
_MAPPED = IPv6Network("::ffff:0:0/96")


class RelayFor(msgspec.Struct, frozen=True):
    """Authenticated clients, clients of networks, both or none; false for none."""

    authenticated: bool = False
    networks: tuple[Network, ...] = ()

    def __bool__(self) -> bool:
        return self.authenticated or bool(self.networks)

    def __str__(self) -> str:
        words = [AUTHENTICATED] if self.authenticated else []
        return ", ".join([*words, *map(str, self.networks)]) or _NONE


def _relay_for(value: object) -> RelayFor:
    if isinstance(value, RelayFor):
        return value
    if value in _WORDS:
        return RelayFor(authenticated=value == AUTHENTICATED)
    if not isinstance(value, list | tuple):
        raise ValueError  # noqa: TRY004 - converters raise only ValueError
    networks = tuple(_network(one) for one in value if one != AUTHENTICATED)
    return RelayFor(AUTHENTICATED in value, networks)


def _network(value: object) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    return ip_network(value if isinstance(value, str) else "")


def is_everything(network: Network) -> bool:
    """Return whether a network has all addresses of IPv4 or IPv6."""
    if isinstance(network, IPv6Network) and _MAPPED.subnet_of(network):
        return True
    return network.prefixlen == 0


RELAY_FOR = ScalarKind(
    '"none", "authenticated", or an array of "authenticated" and networks such as "192.0.2.0/24"',
    _relay_for,
)
