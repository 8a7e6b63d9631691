"""Times as options."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.mail_records import MORNING

from gatepost.cli.shared.moments import MomentError, parse_moment

HOUR = 3600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", -2 * HOUR),
        ("30m", -HOUR / 2),
        ("1.5h", -1.5 * HOUR),
        ("7d", -7 * 24 * HOUR),
        ("0s", 0),
        ("today", -9 * HOUR),
        ("yesterday", -33 * HOUR),
        ("2026-11-29", -9 * HOUR),
        ("2026-11-29T08:30", -HOUR / 2),
        ("2026-11-29 08:30:00", -HOUR / 2),
        ("2026-11-29T07:30:00Z", -HOUR / 2),
        ("2026-11-29T08:30:00+01:00", -HOUR / 2),
    ],
)
def test_a_time_is_before_now_or_a_local_date(morning, text, expected):
    assert parse_moment(text, MORNING) == MORNING + expected


@pytest.mark.parametrize(
    "text", ["", "soon", "120", "2x", "-2h", "2026-13-01", "999999d", "0001-01-01", "9" * 400]
)
def test_another_text_is_an_error(text):
    with pytest.raises(MomentError, match=r"expected a time before now such as .* found"):
        parse_moment(text, MORNING)


@given(st.text())
def test_any_text_is_a_time_or_the_error(text):
    with suppress(MomentError):
        assert isinstance(parse_moment(text, MORNING), float)
