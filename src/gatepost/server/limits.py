"""Connection limits by address and network, over all workers of a machine.

A network is what one organisation usually has: a /24 of IPv4, a /64 of IPv6. A /48 of IPv6, which
anyone can get, is counted too: it may have SITE_FACTOR times as much as a network. IPv6 addresses
that stand for IPv4 addresses (NAT64, 6to4, mapped) are counted as these. Clients without an IP
address, such as those of a Unix socket, and the networks of `limits.exempt` are not counted.

Limits: memory is that of the counters, independent of the number of clients; the cache of addresses
(REMEMBERED) only saves time.
"""

import functools
import socket
from collections.abc import Callable

from gatepost.config.schema import SITE_FACTOR, LimitsConfig
from gatepost.counts import sketch
from gatepost.counts.counters import Gauge, WindowCounter
from gatepost.counts.memory import CounterTable, Slot
from gatepost.net.networks import is_within

REMEMBERED = 4096
# The window of the limits that are rates, in seconds.
MINUTE = 60

# Prefixes of IPv6 addresses that contain an IPv4 address, and its place.
_WITH_IPV4 = (
    (bytes.fromhex("0064ff9b") + bytes(8), 12),  # NAT64: RFC 6052 s2.1
    (bytes.fromhex("2002"), 2),  # 6to4: RFC 3056 s2
    (bytes(10) + b"\xff\xff", 12),  # mapped: RFC 4291 s2.5.5.2
)


# The counters of a client's address, of its network, and with IPv6 of its /48.
Origin = tuple[sketch.Cell, ...]


class ConnectionLimiter:
    """The connections of all clients; `origin` returns a client's counters, None if it has none."""

    def __init__(self, limits: LimitsConfig, slot: Slot) -> None:
        self._limits = _levels(limits, "connections")
        self._rates = _levels(limits, "connection_rate")
        self._present = Gauge(slot, CounterTable.CONNECTIONS)
        self._arrivals = WindowCounter(slot, CounterTable.NEW_CONNECTIONS, MINUTE)
        find = functools.partial(origin, limits=limits, seed=slot.seed)
        self.origin: Callable[[str], Origin | None] = functools.lru_cache(REMEMBERED)(find)

    def enter(self, origin: Origin, now: float) -> str:
        """Count a connection; return the key of the limit that it exceeds, "" for none.

        Security: a connection over a limit of its own address does not count as a new one of its
        network. Otherwise one address could use up the rate of its neighbours.
        """
        present = [self._present.add(cell) for cell in origin]
        for at, cell in enumerate(origin):
            key, most = self._rates[at]
            if self._arrivals.add(cell, now) > most:
                return key
            key, most = self._limits[at]
            if present[at] > most:
                return key
        return ""

    def leave(self, origin: Origin) -> None:
        """Remove a connection that `enter` counted."""
        for cell in origin:
            self._present.remove(cell)


def _levels(limits: LimitsConfig, name: str) -> tuple[tuple[str, int], ...]:
    """Return the keys and limits of an address, a network and a /48."""
    of_address, of_network = f"{name}_per_ip", f"{name}_per_network"
    network: int = getattr(limits, of_network)
    return (
        (of_address, getattr(limits, of_address)),
        (of_network, network),
        (of_network, SITE_FACTOR * network),
    )


def origin(host: str, limits: LimitsConfig, seed: bytes) -> Origin | None:
    """Return the counters of a client, by its address as text."""
    octets = packed(host)
    if octets is None or is_within(host, limits.exempt):
        return None
    lengths = (4, 3) if len(octets) == 4 else (16, 8, 6)
    return tuple(sketch.locate(octets[:length], seed) for length in lengths)


def packed(host: str) -> bytes | None:
    """Return an address as its octets, None if it is not an IP address.

    An IPv6 address that contains an IPv4 address is returned as that.
    """
    host = host.partition("%")[0]  # a link-local address may name its interface
    try:
        octets = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return None
    if len(octets) == 16:
        for prefix, at in _WITH_IPV4:
            if octets.startswith(prefix):
                return octets[at : at + 4]
    return octets
