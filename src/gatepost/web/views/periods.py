"""Hours and days of a period in a zone, and counts that are added up by them.

The ledger counts by hour, so a period begins and ends with a full hour.
"""

from collections import Counter
from collections.abc import Iterable
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
        self.starts = self._hours() if self.is_hourly else self._days()

    @property
    def unit(self) -> str:
        """The name of a part: hour or day."""
        return "hour" if self.is_hourly else "day"

    def _hours(self) -> list[int]:
        return list(range(self.since, self.until, HOUR))

    def _days(self) -> list[int]:
        return sorted({self.start_of(hour) for hour in range(self.since, self.until, HOUR)})

    def start_of(self, hour: int) -> int:
        """Return the start of the part with an hour."""
        if self.is_hourly:
            return hour
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
            if self.since <= hour + shift < self.until:
                found[self.start_of(hour + shift)] += round(count)
        return [found[start] for start in self.starts]
