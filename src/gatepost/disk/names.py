"""File names for messages, each given once."""

import os
import secrets
import time
from itertools import count

MAX_HOST = 128  # characters of the host name in a file name, which has 255 octets for everything

_ESCAPES = str.maketrans({"/": r"\057", ":": r"\072"})  # as the Maildir format has it


class UniqueNames:
    """File names that no other process on any host gives: seconds, a unique part, the host.

    The unique part is microseconds, process, a count and a random number. Threads may share one.
    """

    def __init__(self, hostname: str) -> None:
        self._host = hostname.translate(_ESCAPES)[:MAX_HOST]
        self._counter = count()

    def next(self) -> str:
        """Return a name never given before."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        unique = f"M{rest // 1000}P{os.getpid()}Q{next(self._counter)}R{secrets.token_hex(8)}"
        return f"{seconds}.{unique}.{self._host}"
