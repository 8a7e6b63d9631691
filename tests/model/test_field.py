"""Header fields made from a name and a value: folded, encoded, never more than one field."""

import email
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.model.field import FOLDED, LONGEST, make_field


def lines(field):
    assert field.endswith(b"\r\n")
    return field.decode().removesuffix("\r\n").split("\r\n")


def decoded(field):
    """Return the value as the standard library reads it."""
    value = email.message_from_bytes(field + b"\r\n")["X"]
    return str(make_header(decode_header(value.replace("\r\n", ""))))


def test_a_long_value_is_folded_in_front_of_white_space():
    value = " ".join(["word"] * 100)
    made = lines(make_field("X-Long", value, utf8=False))
    assert max(map(len, made)) <= FOLDED
    assert "".join(made) == f"X-Long: {value}"
    assert len(made) == 7


def test_a_word_that_is_too_long_stays_in_one_piece():
    value = "a " + "x" * 200 + " b"
    assert lines(make_field("X", value, utf8=False)) == ["X: a", " " + "x" * 200, " b"]


def test_the_first_word_stays_next_to_the_name():
    assert lines(make_field("X", "x" * 100, utf8=False)) == ["X: " + "x" * 100]


def test_white_space_at_the_end_makes_no_line_of_its_own():
    value = "x " * 60 + " " * 300
    made = lines(make_field("X", value, utf8=False))
    assert "".join(made) == f"X: {value}"
    assert all(line.strip() for line in made)


def test_a_value_that_is_folded_stays_as_it_is():
    value = "a" * 50 + " " + "b" * 50 + "\r\n\tc"
    assert make_field("X", value, utf8=False) == f"X: {value}\r\n".encode()


@pytest.mark.parametrize("value", ["x" * LONGEST, "a\r\n " + "x" * LONGEST, "é" * 600])
def test_a_line_over_the_limit_is_refused(value):
    with pytest.raises(ValueError, match="header field X: a line has more than 998 octets"):
        make_field("X", value, utf8=True)


def test_a_line_at_the_limit_is_accepted():
    assert len(make_field("X", "x" * (LONGEST - 3), utf8=False)) == LONGEST + 2


def test_only_words_that_are_not_ascii_are_encoded():
    made = make_field("X", "[EXT] Grüße an euch", utf8=False)
    assert made == b"X: [EXT] =?utf-8?b?R3LDvMOfZQ==?= an euch\r\n"


def test_smtputf8_keeps_the_characters():
    assert make_field("X", "Grüße", utf8=True) == "X: Grüße\r\n".encode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("über euch Maßen", None),
        ("über Maßen", None),
        ("Grüße =?utf-8?q?an_euch?= äh", "Grüße an euch äh"),
        ("=?utf-8?q?an?= =?utf-8?q?_euch?= über", "an euch über"),
        ("ü" * 500, None),
        ("日本 語 " * 40 + "x", None),
    ],
)
def test_encoded_words_are_read_as_the_value(value, shown):
    made = make_field("X", value, utf8=False)
    assert made.isascii()
    assert max(map(len, lines(made))) <= FOLDED
    assert decoded(made) == (shown or value)


def test_a_lone_surrogate_is_refused():
    for utf8 in (True, False):
        with pytest.raises(ValueError, match="surrogates not allowed"):
            make_field("X", "\ud800", utf8=utf8)


@pytest.mark.parametrize("value", ["x " + " " * 300_000, "ü" + " \t" * 300_000])
def test_white_space_is_read_in_linear_time(value):
    """A quadratic search would not return."""
    with pytest.raises(ValueError, match="998"):
        make_field("X", value, utf8=False)


TEXT = st.text(st.sampled_from("aü \t\x0b\x85=?") | st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.booleans())
@example("x" * 80 + " \x0b", False)
def test_the_field_is_one_field_with_the_value(value, utf8):
    try:
        made = make_field("X", value, utf8=utf8)
    except ValueError:
        return
    first, *rest = lines(made)
    assert first.startswith("X: ")
    assert all(line[0] in " \t" and line.strip() for line in rest)
    assert utf8 or made.isascii()
    if utf8 or value.isascii():
        assert "".join([first, *rest]) == f"X: {value}"


@given(st.lists(st.text(st.sampled_from("aüß€"), min_size=1, max_size=60), min_size=1, max_size=20))
def test_words_keep_their_order_and_the_space_between_them(words):
    value = " ".join(words)
    assert decoded(make_field("X", value, utf8=False)) == value
