"""Counts of values with the time of the last, which become the rows of a table.

The counts of a user with a scope may not be complete yet: a note of the table has the time.
"""

from collections import Counter
from collections.abc import Callable

from gatepost.ledger.words.wording import moment
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Row

Key = tuple[str, ...]


class Counts:
    """The count of each key, and its last time, in seconds since 1970."""

    def __init__(self) -> None:
        self.times: Counter[Key] = Counter()
        self.last: dict[Key, float] = {}

    def add(self, key: Key, time: float) -> None:
        """Count a key."""
        self.times[key] += 1
        self.last[key] = max(time, self.last.get(key, 0.0))


def _no_link(_key: Key) -> str:
    return ""


def rows_of(counts: Counts, most: int, link: Callable[[Key], str] = _no_link) -> list[Row]:
    """Return a row for each of the most frequent keys: the key, its count and its last time."""
    order = sorted(counts.times.items(), key=lambda item: (-item[1], item[0]))
    return [Row((*key, count, counts.last[key]), link(key)) for key, count in order[:most]]


def counted_note(source: Source, filters: Filters) -> str:
    """Return since when the counts that were read are complete, "" if they all are."""
    since = source.ledger.counted_since
    if not since:
        return ""
    return (
        f"Complete since {moment(since, '%d %b %H:%M', filters.tz)}; older messages are being"
        " counted. Load the page again later."
    )
