"""The subjects that plugins with state count: addresses and networks of clients, domains.

A client is counted by its network, because a sender can use many addresses of one. An IPv6 address
that contains an IPv4 address (mapped, 6to4, NAT64) is that IPv4 address.

Limits: the caches only save time; a client cannot make them grow beyond REMEMBERED entries.
"""

import math
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from gatepost import Address, NetworkList, Session, Transaction

REMEMBERED = 4096

# Networks that are not the Internet's: RFC 1918, 6598, 1122, 3927, 4291, 4193.
INTERNAL = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    *("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10", "fc00::/7"),
)
# RFC 6052 s2.1
_NAT64 = IPv6Network("64:ff9b::/96")

# The share of a unit that is not rounded up: a clock is not more exact.
_ROUNDING = 0.01
_UNITS = ((7200, 3600, "hour"), (120, 60, "minute"), (0, 1, "second"))

_CLUSTER = "cluster"


class Cluster(NamedTuple):
    """The sender of a transaction, as plugins about trap hits count it.

    `keys` are the networks and proven domains that are held responsible, none of them a network
    that many organisations share. `network` is the key of the network in any case.
    """

    keys: tuple[str, ...]
    network: str


def set_cluster(tx: Transaction, cluster: Cluster) -> None:
    """Keep the cluster of a transaction for plugins that run later; `trap_memory` finds it."""
    tx.notes[_CLUSTER] = cluster


def cluster_of(tx: Transaction) -> Cluster | None:
    """Return the cluster of a transaction, None for a client that is not checked."""
    found: Cluster | None = tx.notes.get(_CLUSTER)
    return found


@lru_cache(REMEMBERED)
def client_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a client, None if it has none, such as that of a Unix socket."""
    try:
        address = ip_address(host.partition("%")[0])  # a link-local address may name its interface
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _NAT64:
        inside = IPv4Address(int(address) & 0xFFFF_FFFF)
    return inside or address


@lru_cache(REMEMBERED)
def client_network(host: str, ipv4: int, ipv6: int) -> str:
    """Return the network of a client, with prefixes of these lengths; "" without an address."""
    address = client_address(host)
    if address is None:
        return ""
    bits = ipv4 if isinstance(address, IPv4Address) else ipv6
    return str(ip_network((address, bits), strict=False))


def is_trusted(session: Session, networks: NetworkList) -> bool:
    """Return whether a client is not to be checked.

    It has authenticated, is in a network of `relay_for` or in `networks`, or has no address.
    """
    if session.auth is not None or session.in_relay_network:
        return True
    address = client_address(session.peer.host)
    if address is None:
        return True
    # A list without files does not change.
    return address in networks if networks.files else _is_within(address, networks)


@lru_cache(REMEMBERED)
def _is_within(address: IPv4Address | IPv6Address, networks: NetworkList) -> bool:
    return address in networks


def is_stranger(tx: Transaction) -> bool:
    """Return whether a sender is neither authenticated nor known by its `standing`."""
    return tx.session.auth is None and tx.results.value("standing") in (None, "stranger")


def check_prefixes(ipv4: int, ipv6: int) -> None:
    """Raise ValueError unless both are lengths of prefixes."""
    if not (8 <= ipv4 <= 32 and 16 <= ipv6 <= 128):
        raise ValueError("expected ipv4_prefix from 8 to 32 and ipv6_prefix from 16 to 128")


def domain_of(address: Address) -> str:
    """Return the domain of an address in canonical form, "" for the null reverse-path."""
    domain = address.domain
    if domain.isascii() and domain[:1] != "[":
        return domain.lower()
    return address.key.rpartition("@")[2]


def spf_domain(tx: Transaction) -> str:
    """Return the domain of the sender if SPF has passed for it, otherwise ""."""
    if not tx.reverse_path or tx.found is None or tx.found.value("spf") != "pass":
        return ""
    return domain_of(tx.reverse_path)


def in_words(seconds: float) -> str:
    """Return a time for people, rounded up: "in 5 minutes"."""
    for least, length, unit in _UNITS:
        if seconds >= least:
            number = max(1, math.ceil(seconds / length - _ROUNDING))
            return f"in {number} {unit}{'' if number == 1 else 's'}"
    raise ValueError("expected a time of 0 or more seconds")
