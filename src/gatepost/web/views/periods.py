"""Hours and days of a period in a zone, and counts that are added up by them.

The ledger counts by hour, so a period begins and ends with a full hour.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo

from gatepost.ledger.totals import HOUR, hour_of

DAY = 86400
WEEK = 7 * DAY
# The longest period that is shown by hours, and the most days.
_BY_HOURS = 3 * DAY
_MOST_DAYS = 400


class Buckets:
    """The starts of the hours or days from `since` to `until`, in seconds since 1970."""

    def __init__(self, since: float, until: float, zone: tzinfo | None) -> None:
        self._zone = zone
        self.is_hourly = until - since <= _BY_HOURS
        self.since = max(hour_of(since), 0 if self.is_hourly else hour_of(until) - _MOST_DAYS * DAY)
        self.until = hour_of(until - 1) + HOUR
        # The start of the part of each hour: a zone is looked up once for an hour.
        self._part: dict[int, int] = {}
        self.starts = list(self._starts())

    def _starts(self) -> Iterator[int]:
        start = self._part_of(self.since)
        while start <= self.until - HOUR:
            yield start
            # From any midnight on, this is an early hour of the next day.
            start = start + HOUR if self.is_hourly else self._midnight(start + DAY + 2 * HOUR)

    def _part_of(self, hour: int) -> int:
        if hour not in self._part:
            self._part[hour] = hour if self.is_hourly else self._midnight(hour)
        return self._part[hour]

    @property
    def unit(self) -> str:
        """The name of a part: hour or day."""
        return "hour" if self.is_hourly else "day"

    def _midnight(self, hour: int) -> int:
        midnight = self.local(hour).replace(hour=0, minute=0, second=0, microsecond=0)
        if self._zone is None:
            midnight = midnight.replace(tzinfo=None)
        return int(midnight.timestamp())

    def local(self, seconds: float) -> datetime:
        """Return a time in the zone."""
        return datetime.fromtimestamp(seconds, UTC).astimezone(self._zone)

    def sums(self, hours: Iterable[tuple[int, float]], shift: int = 0) -> list[float]:
        """Return the sum of each part; `shift` seconds are added to the hours before."""
        found: Counter[int] = Counter()
        for hour, count in hours:
            moved = hour + shift
            if self.since <= moved < self.until:
                found[self._part_of(moved)] += round(count)
        return [found[start] for start in self.starts]
