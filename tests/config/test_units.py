"""Durations and sizes."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.units import (
    MAX_OCTETS,
    MAX_SECONDS,
    UnitError,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("90s", 90.0),
        ("5m", 300.0),
        ("24h", 86400.0),
        ("30d", 2592000.0),
        ("1.5h", 5400.0),
        ("0.1s", 0.1),
        ("0s", 0.0),
        ("90", 90.0),
        (90, 90.0),
        (0.25, 0.25),
    ],
)
def test_a_duration_is_parsed(text, seconds):
    parsed = parse_duration(text)
    assert parsed == seconds
    assert type(parsed) is float


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("25MiB", 25 * 1024 * 1024),
        ("25mib", 25 * 1024 * 1024),
        ("10KB", 10_000),
        ("1GB", 10**9),
        ("2TiB", 2 * 2**40),
        ("1000", 1000),
        ("1000B", 1000),
        ("0", 0),
        (1000, 1000),
    ],
)
def test_a_size_is_parsed(text, octets):
    assert parse_size(text) == octets


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "5 m",
        "5M",
        "-5m",
        "5m5s",
        "1e3s",
        "\u0665s",
        "5m\n",
        ".5s",
        "5.s",
        True,
        None,
        [],
        b"5s",
    ],
)
def test_a_bad_duration_is_refused(text):
    with pytest.raises(UnitError) as caught:
        parse_duration(text)
    expected = f'expected a duration such as "90s", "5m" or "24h", found {text!r}'
    assert str(caught.value) == expected


@pytest.mark.parametrize("number", [-1, -0.5, math.nan, math.inf, MAX_SECONDS + 1, 10**400])
def test_a_duration_out_of_range_is_refused(number):
    with pytest.raises(UnitError, match=f"^expected a duration of 0 to {MAX_SECONDS} seconds, "):
        parse_duration(number)


@pytest.mark.parametrize(
    "text", ["", "MiB", "25 MiB", "-1", "1.5MiB", "25M", "25iB", "\u0665", True, 1.0, None, {}]
)
def test_a_bad_size_is_refused(text):
    with pytest.raises(UnitError) as caught:
        parse_size(text)
    assert str(caught.value) == f'expected a size such as "25MiB" or "10KB", found {text!r}'


@pytest.mark.parametrize("number", [-1, MAX_OCTETS + 1, "999999999999TiB"])
def test_a_size_out_of_range_is_refused(number):
    with pytest.raises(UnitError, match=f"^expected a size of 0 to {MAX_OCTETS} octets, found "):
        parse_size(number)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (1, "1s"), (90, "90s"), (300, "5m"), (86400, "1d")],
)
def test_a_duration_is_formatted_in_the_largest_unit(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0"), (1000, "1000"), (2048, "2KiB"), (25 * 2**20, "25MiB")]
)
def test_a_size_is_formatted_in_the_largest_unit(octets, text):
    assert format_size(octets) == text


@given(st.integers(0, 10**12))
def test_a_formatted_duration_parses_to_the_same_value(milliseconds):
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 10**15 - 1))
def test_a_formatted_size_parses_to_the_same_value(octets):
    assert parse_size(format_size(octets)) == octets


ANYTHING = st.one_of(
    st.text(),
    st.from_regex(r"[0-9.]{0,20}(ms|[smhd]|[KMGT]i?B)?\n?", fullmatch=True),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(),
    st.lists(st.integers()),
)


@given(ANYTHING)
def test_any_value_is_a_duration_in_range_or_refused(value):
    with suppress(UnitError):
        assert 0 <= parse_duration(value) <= MAX_SECONDS


@given(ANYTHING)
def test_any_value_is_a_size_in_range_or_refused(value):
    with suppress(UnitError):
        assert 0 <= parse_size(value) <= MAX_OCTETS
