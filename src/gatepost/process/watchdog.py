"""Detection of a worker that hangs. Time is an argument, in seconds.

A worker answers each ping with a progress counter. A busy worker's counter moves, however late its
event loop is. A worker hangs if its counter has not moved for `limit` seconds after a ping, or if
it has not answered at all.
"""

# The longest interval between two pings, in seconds. It is shorter if `limit` is short, so that at
# least two pings are sent before the limit is reached.
PING_INTERVAL = 2.0


class Watchdog:
    """The pings and progress reports of one worker."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._interval = min(PING_INTERVAL, limit / 2)
        self._progress = ""
        self._next_ping = 0.0
        # The time of the first ping since the last progress, None without one.
        self._waiting_since: float | None = None

    def is_ping_due(self, now: float) -> bool:
        """Return whether to send a ping now; the caller then sends it."""
        if now < self._next_ping:
            return False
        self._next_ping = now + self._interval
        if self._waiting_since is None:
            self._waiting_since = now
        return True

    def record(self, progress: str) -> None:
        """Record the counter of an answer."""
        if progress != self._progress:
            self._progress = progress
            self._waiting_since = None

    def has_expired(self, now: float) -> bool:
        """Return whether the worker hangs."""
        return self._waiting_since is not None and now - self._waiting_since > self._limit

    def restart(self, now: float) -> None:
        """Grant the whole limit again, because the supervisor itself was suspended."""
        if self._waiting_since is not None:
            self._waiting_since = now
