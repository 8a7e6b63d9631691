"""A line of a log: its time, the program that wrote it, and its text.

These forms are read:

| form | example |
| --- | --- |
| syslog, RFC 3164 | `Feb 22 00:48:41 mx postfix/smtpd[812]: connect from …` |
| syslog with a full date | `2020-02-22T00:48:41.123+01:00 mx postfix/smtpd[812]: …` |
| syslog, RFC 5424 | `<22>1 2020-02-22T00:48:41Z mx postfix/smtpd 812 - - …` |
| Exim | `2020-02-22 00:48:41 …`, with a zone and a process in brackets |
| multilog (TAI64N) | `@400000005e507a131c9c3800 …` |
| splogger | `1582332521.123456 …` |
| qpsmtpd's file | `Sat Feb 22 00:48:41 2020 …` |

A time without a zone is read as UTC, because the zone of the machine that wrote it is not in the
log. A date without a year is given one by `YearGuess`.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_PRIORITY = re.compile(r"<\d{1,3}>")
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<gap>[T ])(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d{1,9}))?(?: ?(?P<zone>Z|[+-]\d\d:?\d\d))?(?= |$) ?"
)
_BSD = re.compile(r"(?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d) ")
_CTIME = re.compile(
    r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d)"
    r" (?P<year>\d{4}) "
)
_TAI = re.compile(r"@([0-9a-f]{16})([0-9a-f]{8}) ")
_UNIX = re.compile(r"(\d{9,10}\.\d{1,9}) ")
# multilog does not count leap seconds: 10 since 1970.
_TAI_START = 2**62 + 10
_WRITER = re.compile(
    r"(?P<host>[\w.:-]+) (?P<program>[^\s:\[\]=]{1,64})(?:\[(?P<pid>\d+)\])?: ?(?P<text>.*)",
    re.DOTALL,
)
_RFC_5424 = re.compile(
    r"(?P<host>\S+) (?P<program>\S+) (?P<pid>\S+) \S+ (?:-|\[[^\]]*\]) ?(?P<text>.*)", re.DOTALL
)
_HALF_A_YEAR = 183 * 86400


class Entry(msgspec.Struct, frozen=True):
    """A line. `host`, `program` and `pid` are empty if the log has none."""

    time: float
    text: str
    host: str = ""
    program: str = ""
    pid: str = ""


class YearGuess:
    """The year of dates without one.

    The first date is in the year before `latest`, the time at which the log cannot have been older.
    A date that jumps back by more than half a year is in the next year.
    """

    def __init__(self, latest: float) -> None:
        self._latest = latest + 86400  # clocks and zones differ
        self._year: int | None = None
        self._last = 0.0

    def time(self, month: int, day: int, clock: str) -> float:
        """Return a time in seconds since 1970; raises ValueError if there is no such date."""
        if self._year is None:
            self._year = datetime.fromtimestamp(self._latest, UTC).year
            if self._at(month, day, clock) > self._latest:
                self._year -= 1
        found = self._at(month, day, clock)
        if found < self._last - _HALF_A_YEAR:
            self._year += 1
            found = self._at(month, day, clock)
        self._last = max(self._last, found)
        return found

    def _at(self, month: int, day: int, clock: str) -> float:
        year = self._year or 1970
        if (month, day) == (2, 29):
            year -= year % 4
        return _day(year, month, day) + _clock(clock)


@lru_cache(maxsize=64)
def _day(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def _clock(text: str) -> float:
    return int(text[0:2]) * 3600 + int(text[3:5]) * 60 + int(text[6:8])


def parse_line(line: str, years: YearGuess) -> Entry | None:
    """Return the entry of a line, None if it does not start with a time."""
    text = _PRIORITY.sub("", line, count=1) if line[:1] == "<" else line
    try:
        return _dated(text, years)
    except (ValueError, KeyError, OverflowError):
        return None


def _dated(text: str, years: YearGuess) -> Entry | None:
    first = text[:1]
    if first == "@":
        return _tai(text)
    if first.isdigit():
        return _rfc_5424(text[2:]) if text[1:2] == " " else _iso(text) or _unix(text)
    if match := _BSD.match(text):
        time = years.time(_MONTHS[match["month"]], int(match["day"]), match["clock"])
        return _written(time, text[match.end() :])
    if match := _CTIME.match(text):
        day = _day(int(match["year"]), _MONTHS[match["month"]], int(match["day"]))
        return Entry(day + _clock(match["clock"]), text[match.end() :])
    return None


def _tai(text: str) -> Entry | None:
    match = _TAI.match(text)
    if match is None:
        return None
    time = int(match[1], 16) - _TAI_START + int(match[2], 16) / 1e9
    return Entry(time, text[match.end() :]) if 0 <= time < 2**33 else None


def _unix(text: str) -> Entry | None:
    match = _UNIX.match(text)
    return Entry(float(match[1]), text[match.end() :]) if match else None


def _rfc_5424(text: str) -> Entry | None:
    match = _ISO.match(text)
    rest = _RFC_5424.match(text, match.end()) if match else None
    if match is None or rest is None:
        return None
    pid = rest["pid"] if rest["pid"] != "-" else ""
    return Entry(_iso_time(match), rest["text"], rest["host"], rest["program"], pid)


def _iso(text: str) -> Entry | None:
    match = _ISO.match(text)
    if match is None:
        return None
    rest = text[match.end() :]
    return (
        _written(_iso_time(match), rest) if match["gap"] == "T" else Entry(_iso_time(match), rest)
    )


def _iso_time(match: re.Match[str]) -> float:
    year, month, day = (int(one) for one in match["day"].split("-"))
    clock = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    fraction = float(f"0.{match['fraction'] or 0}")
    return _day(year, month, day) + clock + fraction - _offset(match["zone"])


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _written(time: float, rest: str) -> Entry:
    match = _WRITER.match(rest)
    if match is None:
        return Entry(time, rest)
    return Entry(time, match["text"], match["host"], match["program"], match["pid"] or "")
