"""The filters in a URL."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.web.filters import PERIODS, RESULTS, FilterError, Filters, parse_filters

NOW = 1_790_000_000.0
NAMES = st.sampled_from(Filters.__struct_fields__)
VALUES = st.text(max_size=30) | st.sampled_from([*PERIODS, *RESULTS, "UTC", "2026-01-02T03:04"])


def parsed(values):
    """Return the filters of some values, or the problem."""
    try:
        return parse_filters(values, NOW)
    except FilterError as error:
        return error


@given(st.dictionaries(NAMES, VALUES))
def test_any_values_are_filters_or_a_problem_with_its_field(values):
    found = parsed(values)
    if isinstance(found, FilterError):
        assert str(found).partition(":")[0] in Filters.__struct_fields__
    else:
        assert found.since < found.until <= 4_102_444_800
        assert all(key.value for key in found.selection(str).keys)


@given(st.dictionaries(NAMES, VALUES))
def test_a_link_has_the_same_filters(values):
    filters = parsed(values)
    if isinstance(filters, FilterError):
        return
    query = filters.url("/find", before=filters.before).partition("?")[2]
    again = parse_filters(dict(parse_qsl(query, keep_blank_values=True)), NOW)
    for name in set(Filters.__struct_fields__) - {"since", "until"}:
        assert getattr(again, name) == getattr(filters, name)
    assert abs(again.since - filters.since) < 3700  # a link has minutes, and summer time ends


@pytest.mark.parametrize(
    ("values", "since", "until"),
    [
        ({}, NOW - 86400, NOW),
        ({"period": "1h"}, NOW - 3600, NOW),
        ({"q": "x"}, 0, NOW),
        ({"q": "x", "period": "7d"}, NOW - 7 * 86400, NOW),
        ({"until": "2026-01-02T00:00Z"}, 1767225600, 1767312000),
        ({"since": "2026-01-02T01:00", "zone": "Europe/Berlin"}, 1767312000, NOW),
    ],
)
def test_the_period(values, since, until):
    filters = parse_filters(values, NOW)
    assert (filters.since, filters.until) == (since, until)


def test_a_link_keeps_the_other_filters():
    filters = parse_filters({"to": "a@example.com", "period": "7d"}, NOW)
    assert filters.url("/find", reason="spam") == "/find?period=7d&to=a%40example.com&reason=spam"
    assert Filters().url("/find") == "/find"
