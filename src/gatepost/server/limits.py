"""How many connections come from where: one address, one network, all workers of a machine.

A network is what one party usually has: a /24 of IPv4, a /64 of IPv6. Whoever has neither, as the
other end of a Unix socket, is not counted, and neither are the networks of `limits.exempt`.

Limits: memory is that of the counters, whatever comes; what is remembered of addresses (REMEMBERED)
only saves time.
"""

import functools
import socket
from collections.abc import Callable
from typing import NamedTuple

from gatepost.config.schema import LimitsConfig
from gatepost.counts import sketch
from gatepost.counts.counters import Gauge, WindowCounter
from gatepost.counts.memory import CounterTable, Slot
from gatepost.server.networks import is_within

REMEMBERED = 4096
# The window of the limits that are rates, in seconds.
MINUTE = 60


class Origin(NamedTuple):
    """Where a client's address and its network are counted."""

    address: sketch.Cell
    network: sketch.Cell


class ConnectionLimiter:
    """The connections of all clients; `origin` tells where one is counted, None for nowhere."""

    def __init__(self, limits: LimitsConfig, slot: Slot) -> None:
        self._limits = limits
        self._present = Gauge(slot, CounterTable.CONNECTIONS)
        self._arrivals = WindowCounter(slot, CounterTable.NEW_CONNECTIONS, MINUTE)
        find = functools.partial(origin, limits=limits, seed=slot.seed)
        self.origin: Callable[[str], Origin | None] = functools.lru_cache(REMEMBERED)(find)

    def enter(self, origin: Origin, now: float) -> str:
        """Count a connection; return the name of the limit that it is beyond, "" for none."""
        address, network = origin
        limits, present, handshakes = self._limits, self._present, self._arrivals
        found = ""
        if present.add(address) > limits.connections_per_ip:
            found = "connections_per_ip"
        if present.add(network) > limits.connections_per_network:
            found = found or "connections_per_network"
        if handshakes.add(address, now) > limits.connection_rate_per_ip:
            found = found or "connection_rate_per_ip"
        if handshakes.add(network, now) > limits.connection_rate_per_network:
            found = found or "connection_rate_per_network"
        return found

    def leave(self, origin: Origin) -> None:
        """Count no longer what was counted by `enter`."""
        self._present.remove(origin.address)
        self._present.remove(origin.network)


def origin(host: str, limits: LimitsConfig, seed: bytes) -> Origin | None:
    """Return where a client is counted, by its address as text."""
    octets = packed(host)
    if octets is None or is_within(host, limits.exempt):
        return None
    network = octets[: 3 if len(octets) == 4 else 8]
    return Origin(sketch.locate(octets, seed), sketch.locate(network, seed))


def packed(host: str) -> bytes | None:
    """Return an address as its octets, None for what is none."""
    host = host.partition("%")[0]  # a link-local address may name its interface
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return None
