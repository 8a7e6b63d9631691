"""The time in a Date field: RFC 5322 section 3.3, with the obsolete forms of section 4.3.

Trusts: nothing. Nothing is raised, and the time is linear. Limits: LONGEST characters.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from gatepost.mailauth.cfws import skip_comment

LONGEST = 500

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HOURS = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_DATE = re.compile(
    rf"""(?xai)
    (?:[a-z]{{3}}\s*,?\s*)?
    (?P<day>\d{{1,2}})\s+ (?P<month>{"|".join(_MONTHS)})\s+ (?P<year>\d{{2,4}})\s+
    (?P<hour>\d{{1,2}})\s*:\s*(?P<minute>\d{{2}})(?:\s*:\s*(?P<second>\d{{2}}))?\s*
    (?:(?P<sign>[+-])(?P<hours>\d{{2}})(?P<minutes>\d{{2}})|(?P<zone>[a-z]{{1,5}}))
    """
)


def parse_date(value: str) -> datetime | None:
    """Return the time of a Date field, with its time zone; None if it is malformed.

    A zone with an unknown name is UTC, as RFC 5322 requires.
    """
    found = _DATE.fullmatch(_without_comments(value[:LONGEST]).strip())
    if found is None:
        return None
    try:
        return datetime(
            _year(found["year"]),
            _MONTHS.index(found["month"].lower()) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(int(found["second"] or 0), 59),  # 60 is a leap second
            tzinfo=_zone(found),
        )
    except ValueError:
        return None


def _year(digits: str) -> int:
    """Return a year; one of two or three digits is obsolete."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if len(digits) == 2 and year < 50 else 1900)


def _zone(found: re.Match[str]) -> timezone:
    if found["sign"] is None:
        return timezone(timedelta(hours=_HOURS.get(found["zone"].lower(), 0)))
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return timezone(-offset if found["sign"] == "-" else offset) if offset else UTC


def _without_comments(value: str) -> str:
    """Return a value with a blank for each comment; one that does not end stays."""
    parts, at = list[str](), 0
    while (start := value.find("(", at)) >= 0:
        end = skip_comment(value, start)
        if end is None:
            break
        parts.append(value[at:start])
        at = end
    return " ".join([*parts, value[at:]])
