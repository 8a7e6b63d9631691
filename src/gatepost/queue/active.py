"""The jobs of one spool file that are in progress: no job may be started twice.

A job is claimed from its start, or from the moment it waits in memory, until its result is
committed. The writing thread calls `room`, `rank`, `has` and `reopen` while it takes jobs
(`spool.take.Claims`).
"""

from gatepost.queue.spool.records import DeliveryJob
from gatepost.queue.throttle import DestinationThrottle


class ActiveJobs:
    """The claimed jobs of a file; `throttle` is shared by all files."""

    def __init__(self, throttle: DestinationThrottle) -> None:
        self._throttle = throttle
        self._claimed: set[tuple[int, str]] = set()
        # Further jobs may be due: look for them when a delivery ends.
        self.may_have_more = True

    @property
    def is_empty(self) -> bool:
        """Return whether no job is claimed."""
        return not self._claimed

    @property
    def messages(self) -> set[int]:
        """The messages of all claimed jobs."""
        return {message for message, _ in self._claimed}

    def claim(self, job: DeliveryJob) -> None:
        """Claim a job."""
        self._claimed.add((job.message, job.destination))

    def release(self, job: DeliveryJob) -> None:
        """Give up the claim."""
        self._claimed.discard((job.message, job.destination))

    def room(self, destination: str, now: float) -> int:
        """Return the number of deliveries that may start."""
        room = self._throttle.room(destination, now)
        if room <= 0:
            self.may_have_more = True
        return room

    def rank(self, destination: str) -> tuple[int, int]:
        """Return the sort key of a destination, see `DestinationThrottle.rank`."""
        return self._throttle.rank(destination)

    def has(self, message: int, destination: str) -> bool:
        """Return whether a job is claimed."""
        return (message, destination) in self._claimed

    def reopen(self, destination: str) -> None:
        """End the suspension of a destination, as the administrator asked."""
        self._throttle.answered(destination)
