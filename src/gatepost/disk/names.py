"""Unique file names for messages."""

import os
import secrets
import time
from itertools import count

MAX_HOST = 128  # characters of the host name: a file name has at most 255 octets

_ESCAPES = str.maketrans({"/": r"\057", ":": r"\072"})  # as the Maildir format requires


class UniqueNames:
    """File names that are unique across hosts and processes: seconds, a unique part, the host.

    The unique part is microseconds, process ID, a counter and a random number. Threads may share
    one object.
    """

    def __init__(self, hostname: str) -> None:
        self._host = hostname.translate(_ESCAPES)[:MAX_HOST]
        self._counter = count()

    def next(self) -> str:
        """Return a name that was never returned before."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        unique = f"M{rest // 1000}P{os.getpid()}Q{next(self._counter)}R{secrets.token_hex(8)}"
        return f"{seconds}.{unique}.{self._host}"
