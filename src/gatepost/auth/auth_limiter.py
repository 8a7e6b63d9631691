"""The limit on AUTH attempts without success, per client address and network.

Theory of operation: an attempt counts when it starts and is refunded if it succeeds, so concurrent
attempts cannot bypass the limit. The counters only count up; refunds are counted separately, in the
same window. Both counters cover all workers, see `gatepost.counts.counters`.
"""

from collections.abc import Callable

from gatepost.config.schema import SITE_FACTOR, LimitsConfig
from gatepost.counts.counters import WindowCounter
from gatepost.counts.memory import CounterTable, Slot
from gatepost.counts.sketch import Cell


class AuthLimiter:
    """Counts attempts by client address.

    `locate` returns the cells of an address, its network and its /48, or None for an exempt client.
    `time` returns a time in seconds that is the same for all workers.
    """

    def __init__(
        self,
        limits: LimitsConfig,
        slot: Slot,
        locate: Callable[[str], tuple[Cell, ...] | None],
        time: Callable[[], float],
    ) -> None:
        window = int(limits.auth_window)
        network = limits.auth_failures_per_network
        self._limits = (limits.auth_failures_per_ip, network, SITE_FACTOR * network)
        self._attempts = WindowCounter(slot, CounterTable.AUTH_ATTEMPTS, window)
        self._refunded = WindowCounter(slot, CounterTable.REFUNDED_ATTEMPTS, window)
        self._locate = locate
        self._time = time

    def admit(self, host: str) -> bool:
        """Count an attempt; return False if the limit is already reached."""
        cells, now = self._locate(host) or (), self._time()
        for cell, limit in zip(cells, self._limits, strict=False):
            if self._attempts.count(cell, now) - self._refunded.count(cell, now) >= limit:
                return False
        for cell in cells:
            self._attempts.add(cell, now)
        return True

    def refund(self, host: str) -> None:
        """Refund an attempt that succeeded or could not be decided."""
        now = self._time()
        for cell in self._locate(host) or ():
            self._refunded.add(cell, now)
