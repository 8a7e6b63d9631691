"""How often an address, and the network it is in, may try passwords without success.

Theory of operation: an attempt is counted when it begins and forgiven if it succeeds, so that many
at the same time are no way around the limit. Counting ends a window after an address's first one.

Limits: MAX_COUNTED addresses and as many networks; beyond that the one that has been counted for
the longest time is forgotten. Each worker counts for itself.
"""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Protocol

MAX_COUNTED = 20_000

# Whoever has one address usually has this many: by version, the prefix.
_PREFIXES = {4: 24, 6: 64}


class Attempts(Protocol):
    """Counts attempts, by the client's address as text."""

    def admit(self, host: str) -> bool:
        """Count an attempt; return False if there were too many already."""

    def forgive(self, host: str) -> None:
        """Take back an attempt that was none: it succeeded, or could not be decided."""


class AttemptCounts:
    """Counts in memory. `window` is in seconds, `time` returns the seconds since the epoch."""

    def __init__(
        self, per_ip: int, per_network: int, window: float, time: Callable[[], float]
    ) -> None:
        self._hosts = _Counts(per_ip, window, time)
        self._networks = _Counts(per_network, window, time)

    def admit(self, host: str) -> bool:
        """See `Attempts.admit`."""
        network = network_of(host)
        if self._hosts.is_full(host) or self._networks.is_full(network):
            return False
        self._hosts.add(host, 1)
        self._networks.add(network, 1)
        return True

    def forgive(self, host: str) -> None:
        """See `Attempts.forgive`."""
        self._hosts.add(host, -1)
        self._networks.add(network_of(host), -1)


def network_of(host: str) -> str:
    """Return the network that is counted with a host; of what is no IP address, itself."""
    try:
        prefix = _PREFIXES[ip_address(host).version]
    except ValueError:
        return host
    return str(ip_network((host.partition("%")[0], prefix), strict=False))


class _Counts:
    """Counts by key, each for a window of its own; a dict keeps them in the order of their age."""

    def __init__(self, limit: int, window: float, time: Callable[[], float]) -> None:
        self._limit = limit
        self._window = window
        self._time = time
        self._counts: dict[str, tuple[int, float]] = {}

    def is_full(self, key: str) -> bool:
        count, end = self._counts.get(key, (0, 0.0))
        return count >= self._limit and end > self._time()

    def add(self, key: str, change: int) -> None:
        now = self._time()
        count, end = self._counts.get(key, (0, 0.0))
        if end <= now:
            self._counts.pop(key, None)
            count, end = 0, now + self._window
        self._counts[key] = max(0, count + change), end
        if len(self._counts) > MAX_COUNTED:
            del self._counts[next(iter(self._counts))]
