"""Times in Date fields."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.plugins._dates import parse_date

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda number: timezone(timedelta(minutes=number)))
TIMES = st.builds(
    datetime.fromtimestamp,
    st.integers(-2_208_900_000, 253_402_000_000),
    ZONES,
)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("Mon, 01 Jan 2024 10:20:30 +0000", (2024, 1, 1, 10, 20, 30)),
        ("1 jan 2024 10:20 +0000", (2024, 1, 1, 10, 20)),
        ("Mon,1 Jan 24 10:20:60 GMT", (2024, 1, 1, 10, 20, 59)),
        ("Mon, 1 Jan 99 10:20 UT", (1999, 1, 1, 10, 20)),
        ("Mon, 1 Jan 124 10:20 Z", (2024, 1, 1, 10, 20)),
        ("1 Jan 2024 10:20 EST", (2024, 1, 1, 15, 20)),
        ("1 Jan 2024 10:20 XYZ", (2024, 1, 1, 10, 20)),
        ("Mon, 1 Jan 2024 10:20:30 -0130 (a (b) c)", (2024, 1, 1, 11, 50, 30)),
        ("Mon,(x) 1 Jan(y)2024 10:20 +0000", (2024, 1, 1, 10, 20)),
    ],
)
def test_dates_are_read(value, time):
    assert parse_date(value) == datetime(*time, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "2024-01-01T10:20:30Z", "Mon, 1 Jan 2024", "1 Jan 2024 10:20"),
        *("32 Jan 2024 10:20 +0000", "1 Jan 2024 24:00 +0000", "1 Jan 2024 10:20 +9900"),
        *("1 Jan 0000 10:20 +0000", "1 Foo 2024 10:20 +0000", "1 Jan 2024 10:20 +0000 (x"),
        *("1 Jan 20245 10:20 +0000", "\u0661 Jan 2024 10:20 +0000"),
    ],
)
def test_other_values_are_malformed(value):
    assert parse_date(value) is None


@given(TIMES)
def test_every_date_is_read_as_it_was_written(time):
    assert parse_date(format_datetime(time)) == time


@given(st.text(max_size=80) | st.text("0123456789 +-:,()JanMo", max_size=60))
def test_any_value_can_be_read(value):
    found = parse_date(value)
    assert found is None or found.tzinfo is not None
