"""The places of streams: how many are open, in all and for each owner.

Limits: MOST streams, EACH of one owner: a login, a user of a reverse proxy, or a token.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 100
EACH = 5
# Seconds after which a client without a place can try again.
RETRY_AFTER = 10


class FullError(Exception):
    """Too many streams are open; the message is for the client."""


class Places:
    """Counts open streams."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def taken(self, owner: str) -> Iterator[None]:
        """Take a place for an owner; raises `FullError`."""
        if self._open.total() >= MOST:
            raise FullError(f"{MOST} live streams are open. Try again later.")
        if self._open[owner] >= EACH:
            raise FullError(f"{EACH} live streams are open for you. Close another page.")
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]
