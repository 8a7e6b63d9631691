"""Connection limits by address and network, over all workers of a machine.

A network is what one organisation usually has: a /24 of IPv4, a /64 of IPv6. Clients without an IP
address, such as those of a Unix socket, and the networks of `limits.exempt` are not counted.

Limits: memory is that of the counters, independent of the number of clients; the cache of addresses
(REMEMBERED) only saves time.
"""

import functools
import socket
from collections.abc import Callable
from typing import NamedTuple

from gatepost.config.schema import LimitsConfig
from gatepost.counts import sketch
from gatepost.counts.counters import Gauge, WindowCounter
from gatepost.counts.memory import CounterTable, Slot
from gatepost.net.networks import is_within

REMEMBERED = 4096
# The window of the limits that are rates, in seconds.
MINUTE = 60


class Origin(NamedTuple):
    """The counters of a client's address and of its network."""

    address: sketch.Cell
    network: sketch.Cell


class ConnectionLimiter:
    """The connections of all clients; `origin` returns a client's counters, None if it has none."""

    def __init__(self, limits: LimitsConfig, slot: Slot) -> None:
        self._limits = limits
        self._present = Gauge(slot, CounterTable.CONNECTIONS)
        self._arrivals = WindowCounter(slot, CounterTable.NEW_CONNECTIONS, MINUTE)
        find = functools.partial(origin, limits=limits, seed=slot.seed)
        self.origin: Callable[[str], Origin | None] = functools.lru_cache(REMEMBERED)(find)

    def enter(self, origin: Origin, now: float) -> str:
        """Count a connection; return the key of the limit that it exceeds, "" for none.

        Security: a connection over a limit of its own address does not count as a new one of its
        network. Otherwise one address could use up the rate of its neighbours.
        """
        address, network = origin
        limits, present, arrivals = self._limits, self._present, self._arrivals
        addresses, networks = present.add(address), present.add(network)
        if arrivals.add(address, now) > limits.connection_rate_per_ip:
            return "connection_rate_per_ip"
        if addresses > limits.connections_per_ip:
            return "connections_per_ip"
        if arrivals.add(network, now) > limits.connection_rate_per_network:
            return "connection_rate_per_network"
        return "connections_per_network" if networks > limits.connections_per_network else ""

    def leave(self, origin: Origin) -> None:
        """Remove a connection that `enter` counted."""
        self._present.remove(origin.address)
        self._present.remove(origin.network)


def origin(host: str, limits: LimitsConfig, seed: bytes) -> Origin | None:
    """Return the counters of a client, by its address as text."""
    octets = packed(host)
    if octets is None or is_within(host, limits.exempt):
        return None
    network = octets[: 3 if len(octets) == 4 else 8]
    return Origin(sketch.locate(octets, seed), sketch.locate(network, seed))


def packed(host: str) -> bytes | None:
    """Return an address as its octets, None if it is not an IP address."""
    host = host.partition("%")[0]  # a link-local address may name its interface
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return None
