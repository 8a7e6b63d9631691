"""Comments and white space in header fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.cfws import MAX_DEPTH, skip_cfws, skip_comment


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", 0),
        ("x", 0),
        (" \t\r\n x", 5),
        ("(a) (b)x", 7),
        ("(a (b) \\) \\( c)x", 15),
        ("(a", None),
        (" (a) (b", None),
        ("(a\\)", None),
        (")", 0),
        ("(" * MAX_DEPTH + ")" * MAX_DEPTH + "x", 2 * MAX_DEPTH),
        ("(" * (MAX_DEPTH + 1) + ")" * (MAX_DEPTH + 1), None),
    ],
)
def test_white_space_and_comments_are_skipped(text, end):
    assert skip_cfws(text) == end


def test_a_comment_is_skipped_from_its_start():
    assert skip_comment("x (a) b", 2) == 5


@given(st.text(alphabet="()\\ \na"))
def test_what_follows_is_neither_a_comment_nor_white_space(text):
    end = skip_cfws(text)
    assert end is None or text[end : end + 1] not in {"(", " ", "\n"}
