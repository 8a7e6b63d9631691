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
        hours = range(self.since, self.until, HOUR)
        # The start of the part of each hour: a zone is looked up once for an hour.
        self._part = {hour: hour if self.is_hourly else self._midnight(hour) for hour in hours}
        self.starts = sorted(set(self._part.values()))

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
            part = self._part.get(hour + shift)
            if part is not None:
                found[part] += round(count)
        return [found[start] for start in self.starts]
