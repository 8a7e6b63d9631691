"""How often an address, and the network it is in, may try passwords without success.

Theory of operation: an attempt is counted when it begins and forgiven if it succeeds, so that many
at the same time are no way around the limit. The counters only count up: what is forgiven is
counted apart, in the same window. Both are over all workers, see `gatepost.counts.counters`.
"""

from collections.abc import Callable

from gatepost.config.schema import LimitsConfig
from gatepost.counts.counters import WindowCounter
from gatepost.counts.memory import CounterTable, Slot
from gatepost.counts.sketch import Cell


class AuthLimiter:
    """Counts attempts, by the client's address as text.

    `find` returns where an address and its network are counted, None for whom nobody counts; `time`
    a time in seconds that is the same for all workers.
    """

    def __init__(
        self,
        limits: LimitsConfig,
        slot: Slot,
        find: Callable[[str], tuple[Cell, Cell] | None],
        time: Callable[[], float],
    ) -> None:
        window = int(limits.auth_window)
        self._limits = (limits.auth_failures_per_ip, limits.auth_failures_per_network)
        self._made = WindowCounter(slot, CounterTable.AUTH_ATTEMPTS, window)
        self._refunded = WindowCounter(slot, CounterTable.REFUNDED_ATTEMPTS, window)
        self._find = find
        self._time = time

    def admit(self, host: str) -> bool:
        """Count an attempt; return False if there were too many already."""
        places, now = self._find(host) or (), self._time()
        for place, limit in zip(places, self._limits, strict=False):
            if self._made.count(place, now) - self._refunded.count(place, now) >= limit:
                return False
        for place in places:
            self._made.add(place, now)
        return True

    def refund(self, host: str) -> None:
        """Take back an attempt that was none: it succeeded, or could not be decided."""
        now = self._time()
        for place in self._find(host) or ():
            self._refunded.add(place, now)
