"""The time of a log line as text: UTC with milliseconds (RFC 3339).

The text of the second is kept, because formatting it costs more than the rest of a line.
"""

import time
from datetime import UTC, datetime
from typing import Final

# The end of a time, by milliseconds.
_FRACTIONS: Final = [f".{number:03d}Z" for number in range(1000)]


class Stamp:
    """Makes the text of times; each thread may use it."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[int, str] = (0, _second(0))

    def now(self) -> str:
        """Return the current time."""
        now = time.time()
        seconds = int(now)
        known, text = self._last
        if known != seconds:
            text = _second(seconds)
            self._last = (seconds, text)
        return text + _FRACTIONS[int((now - seconds) * 1000)]


def _second(seconds: int) -> str:
    """Return a time without its fraction."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
