"""Times as options: "2h" ago, a date, or a date with a time."""

import time
from datetime import UTC, datetime, timedelta

import click

from gatepost.allow.entry import EntryError, parse_end
from gatepost.cli.shared.output import WrongUsage
from gatepost.config.units import UnitError, parse_duration

EXPECTED = (
    'a time before now such as "30m", "2h" or "7d", a date such as "2026-11-29" or'
    ' "2026-11-29T14:00", "today" or "yesterday"'
)
# A longer time before now is a mistake, and no date has such a distance.
MOST = 100 * 365 * 86400


class MomentError(ValueError):
    """The text is not a time; the message gives the expected form."""


def parse_moment(text: str, now: float) -> float:
    """Return a time in seconds since 1970; dates are local. Raises `MomentError`."""
    try:
        return _parsed(text.strip(), now)
    except (UnitError, ValueError, OverflowError, OSError):
        raise MomentError(f"expected {EXPECTED}, found {text[:80]!r}") from None


def _parsed(text: str, now: float) -> float:
    today = datetime.fromtimestamp(now).astimezone().date()
    days = {"today": 0, "yesterday": 1}.get(text)
    if days is not None:
        start = today - timedelta(days=days)
        return datetime(start.year, start.month, start.day).astimezone().timestamp()
    if "-" in text:
        return datetime.fromisoformat(text).astimezone().timestamp()
    seconds = parse_duration(text)
    if text.isdigit() or seconds > MOST:
        raise MomentError
    return now - seconds


def end_of_period(since: float, until: float | None) -> float:
    """Return the end of a period, now without one; raises `WrongUsage` if it is not after `since`.

    All are in seconds since 1970.
    """
    end = until or time.time()
    if end <= since:
        raise WrongUsage("--until: expected a time after --since")
    return end


def parse_day(text: str, now: float) -> float:
    """Return the beginning of a day (UTC) in seconds since 1970. Raises `MomentError`."""
    try:
        return _day(text.strip(), now)
    except (UnitError, ValueError, OverflowError):
        expected = 'a date such as "2027-06-30", or a time from now such as "90d"'
        raise MomentError(f"expected {expected}, found {text[:80]!r}") from None


def _day(text: str, now: float) -> float:
    if "-" in text:
        day = datetime.fromisoformat(text).date()
        return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    seconds = parse_duration(text)
    if text.isdigit() or seconds > MOST:
        raise MomentError
    return (now + seconds) // 86400 * 86400


class _Time(click.ParamType[float]):
    def parse(self, text: str, now: float) -> float:
        raise NotImplementedError

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the value in seconds since 1970."""
        if isinstance(value, float):
            return value
        try:
            return self.parse(str(value), time.time())
        except MomentError as error:
            self.fail(str(error), param, ctx)


class Moment(_Time):
    """The type of an option that takes a time."""

    name = "time"

    def parse(self, text: str, now: float) -> float:
        """See `parse_moment`."""
        return parse_moment(text, now)


class Day(_Time):
    """The type of an option that takes a day (UTC): a date, or a time from now such as "90d"."""

    name = "day"

    def parse(self, text: str, now: float) -> float:
        """See `parse_day`."""
        return parse_day(text, now)


class End(_Time):
    """The type of an option that takes a time to come: a date (local), or "30d" from now."""

    name = "end"

    def parse(self, text: str, now: float) -> float:
        """See `parse_end`."""
        try:
            return parse_end(text, now)
        except EntryError as error:
            raise MomentError(str(error)) from None


class Duration(_Time):
    """The type of an option that takes a duration, such as "30s"."""

    name = "duration"

    def parse(self, text: str, now: float) -> float:  # noqa: ARG002 - no time is computed
        """See `parse_duration`."""
        try:
            return parse_duration(text)
        except UnitError as error:
            raise MomentError(str(error)) from None
