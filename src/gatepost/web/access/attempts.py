"""The limit on failed logins, by network of the client and for all together.

Limits: MOST_OF_ONE failures of one network and MOST_OF_ALL of all in WINDOW seconds. Networks are
as many as failures, so memory is bounded.
"""

from collections import deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network

WINDOW = 600.0
MOST_OF_ONE = 10
MOST_OF_ALL = 200


class Attempts:
    """The failures of the last WINDOW seconds; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque(maxlen=MOST_OF_ALL)

    def wait(self, address: str) -> float:
        """Return the seconds until a client may try, 0 if it may now."""
        now, network = self._clock(), _network(address)
        while self._failures and self._failures[0][0] <= now - WINDOW:
            self._failures.popleft()
        own = [time for time, one in self._failures if one == network]
        for times, most in ((own, MOST_OF_ONE), ([t for t, _ in self._failures], MOST_OF_ALL)):
            if len(times) >= most:
                return times[-most] + WINDOW - now
        return 0.0

    def count(self, address: str) -> None:
        """Count an attempt, before its password is checked."""
        self._failures.append((self._clock(), _network(address)))

    def refund(self, address: str) -> None:
        """Remove an attempt that succeeded."""
        network = _network(address)
        for one in reversed(self._failures):
            if one[1] == network:
                self._failures.remove(one)
                return


def _network(address: str) -> str:
    """Return the address of IPv4, the /64 of IPv6; another text, of a Unix socket, as it is."""
    try:
        bits = 32 if ip_address(address).version == 4 else 64
        return str(ip_network(f"{address.partition('%')[0]}/{bits}", strict=False))
    except ValueError:
        return address
