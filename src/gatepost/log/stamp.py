"""The time of a log line as octets: UTC with milliseconds (RFC 3339).

Those of the second are kept, because formatting it costs more than the rest of a line.
"""

from datetime import UTC, datetime
from time import time
from typing import Final

# The end of a time, by milliseconds.
_FRACTIONS: Final = [b".%03dZ" % number for number in range(1000)]


class Stamp:
    """Makes the octets of times; each thread may use it."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[int, bytes] = (0, _second(0))

    def now(self) -> bytes:
        """Return the current time."""
        now = time()
        seconds = int(now)
        known, text = self._last
        if known != seconds:
            text = _second(seconds)
            self._last = (seconds, text)
        return text + _FRACTIONS[int((now - seconds) * 1000)]


def _second(seconds: int) -> bytes:
    """Return a time without its fraction."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
