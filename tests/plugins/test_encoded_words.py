"""Encoded words as text."""

from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.plugins._encoded_words import shown_text
from gatepost.plugins._mime_fields import decoded_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?a=40b_c?=", "a@b c"),
        ("=?UTF-8?B?w6k=?= x", "\u00e9 x"),
        ("=?utf-8*en?b?w6k?=", "\u00e9"),
        ("=?iso-8859-1?Q?=E9?=", "\u00e9"),
        ("=?utf-8?q?a?= \r\n =?utf-8?q?b?= c", "ab c"),
        ("=?unknown?q?=C3=A9?=", "\u00e9"),
        ("=?gbxyz?q?=C3=A9?=", "\u00e9"),
        ("=?utf-8?q?=FF?=", "\ufffd"),
        ("=?utf-8?x?a?= =??q?a?=", "=?utf-8?x?a?==??q?a?="),
    ],
)
def test_words_are_decoded(value, text):
    assert decoded_words(value) == text


@given(st.text(max_size=60))
def test_any_text_can_be_decoded(value):
    assert isinstance(shown_text(f"=?utf-8?q?{value}?= {value}"), str)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1))
def test_what_others_encode_is_decoded(text):
    assert decoded_words(Header(text, "utf-8", maxlinelen=10_000).encode()) == text
