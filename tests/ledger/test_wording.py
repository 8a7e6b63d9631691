"""Times, sizes, durations and replies in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.mail_records import MORNING, ZONE

from gatepost.ledger.words.wording import FULL, bare, code, counted, duration, moment, octets


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.00002, "0.02 ms"),
        (0.0041, "4.1 ms"),
        (0.25, "250 ms"),
        (1.2, "1.2 s"),
        (59, "59.0 s"),
        (125, "2 m 5 s"),
        (3600, "1 h"),
        (273_605, "3 d 4 h"),
        (math.inf, "inf s"),
        (math.nan, "nan s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (812, "812 B"), (1536, "1.5 KiB"), (2**31, "2.0 GiB")]
)
def test_sizes(count, text):
    assert octets(count) == text


def test_times_have_the_offset_of_the_zone():
    assert moment(MORNING, FULL, ZONE) == "Sun 29 Nov 2026 09:00:00 +0100"


@given(st.floats())
def test_any_number_is_written(number):
    assert moment(number, FULL, ZONE)
    assert duration(number)


def test_nouns_have_their_plural():
    assert [counted(count, "record") for count in (0, 1, 1200)] == [
        "0 records",
        "1 record",
        "1,200 records",
    ]


@pytest.mark.parametrize(
    ("reply", "number", "text"),
    [
        ("554 5.7.1 Refused [abc-1.1]", 554, "Refused"),
        ("421 Try later", 421, "Try later"),
        (
            "501 Syntax error: expected AUTH [initial-response]",
            501,
            "Syntax error: expected AUTH [initial-response]",
        ),
        ("no reply", 0, "no reply"),
        ("", 0, ""),
    ],
)
def test_a_reply_has_a_code_and_a_text(reply, number, text):
    assert (code(reply), bare(reply)) == (number, text)
