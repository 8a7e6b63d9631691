"""The subjects that plugins with state count: addresses and networks of clients, domains.

A client is counted by its network, because a sender can use many addresses of one.
"""

import math
from functools import lru_cache
from ipaddress import IPv4Address, ip_network
from typing import NamedTuple

from gatepost import Address, Transaction
from gatepost.plugins._addresses import REMEMBERED, parse_address

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
def client_network(host: str, ipv4: int, ipv6: int) -> str:
    """Return the network of a client, with prefixes of these lengths; "" without an address."""
    address = parse_address(host)
    if address is None:
        return ""
    bits = ipv4 if isinstance(address, IPv4Address) else ipv6
    return str(ip_network((address, bits), strict=False))


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
