"""A circuit breaker: after several failures in a row, a pause without attempts.

After the pause one attempt is let through. If it fails, the next pause begins; if it succeeds, the
breaker closes. Pure: the caller supplies the time in seconds, from any clock that only advances.
"""


class Breaker:
    """The state: `failures` in a row. It is open from the first pause to the next success.

    It opens after `most` failures; `pause` is in seconds.
    """

    def __init__(self, most: int, pause: float) -> None:
        self.failures = 0
        self._most = most
        self._pause = pause
        self._next_attempt = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether attempts are limited to one for each pause."""
        return self.failures >= self._most

    def allows(self, now: float) -> bool:
        """Return whether an attempt may be made now; when open, the next one has to wait again."""
        if not self.is_open:
            return True
        if now < self._next_attempt:
            return False
        self._next_attempt = now + self._pause
        return True

    def failed(self, now: float) -> bool:
        """Count a failed attempt; return whether the breaker has opened with it."""
        self.failures += 1
        self._next_attempt = now + self._pause
        return self.failures == self._most

    def succeeded(self) -> bool:
        """Count a successful attempt; return whether the breaker has closed with it."""
        closed = self.is_open
        self.failures = 0
        return closed
