"""An outage: the time in which records cannot be written, logged once when it begins and ends."""

from gatepost.ledger.records import Gap
from gatepost.ledger.store.errors import is_full
from gatepost.log.logger import get_logger

# Seconds between two attempts: each costs the decoding of a batch.
RETRY = 1.0

_log = get_logger("gatepost.ledger")


class Outage:
    """An outage that began at `since` because of an error. `lost` records were dropped so far."""

    def __init__(self, error: Exception, now: float) -> None:
        self.since = now
        self.lost = 0
        self._tried = now
        self._cause = "the disk was full" if is_full(error) else "the disk failed"
        _log.error("ledger unavailable", problem=str(error))

    def is_due(self, now: float) -> bool:
        """Return whether to try again; a clock that was set back does not delay it."""
        if 0 <= now - self._tried < RETRY:
            return False
        self._tried = now
        return True

    def gaps(self, now: float) -> list[Gap]:
        """Return the gap of the records that were dropped, none if all were kept."""
        return [Gap(now, self.since, self.lost, self._cause)] if self.lost else []

    def end(self, now: float) -> None:
        """Log the end."""
        _log.warning("ledger available", lost=self.lost, seconds=round(now - self.since, 1))
