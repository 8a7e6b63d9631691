"""The space for messages in quarantine, of one worker.

The size is measured from time to time. What is added in between is counted, what is released or
removed is not. Other mail that is held does not count.
"""

from pathlib import Path

from gatepost.config.quarantine import QuarantineConfig
from gatepost.delivery.target import DeliveryError
from gatepost.queue.spool.sql.database import FULL


class Quarantine:
    """Counts octets in quarantine. `keep` is how long a message stays there, in seconds."""

    def __init__(self, config: QuarantineConfig) -> None:
        self.keep = config.keep
        self._space = config.space
        self._measured: dict[Path, int] = {}
        self._added = 0

    def admit(self, octets: int) -> None:
        """Count a message that is to be held; raises `DeliveryError` if there is no space."""
        if sum(self._measured.values()) + self._added + octets > self._space:
            raise DeliveryError(
                FULL.text, detail="the quarantine is full (quarantine.space)", reply=FULL
            )
        self._added += octets

    def measured(self, file: Path, octets: int) -> None:
        """Take the size of the quarantine in one spool file."""
        self._measured[file] = octets
        self._added = 0
