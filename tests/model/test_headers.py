import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.headers import Headers


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"A: b\r\n", [("A", "b")]),
        (b"A: b", [("A", "b")]),
        (b"A:b\r\nA:  c  \r\n\r\n", [("A", "b"), ("A", "c")]),
        (b"A: b\r\n c\r\n\td\r\n", [("A", "b c\td")]),
        (b"A:\r\n b\r\n", [("A", "b")]),
        (b"A : b\r\n", [("A", "b")]),
        (b"A: b: c\r\n", [("A", "b: c")]),
        (b"no field\r\n of mine\r\nA: b\r\n", [("A", "b")]),
        (b" folded first\r\nA: b\r\n", [("A", "b")]),
        (b": no name\r\nA: b\r\n", [("A", "b")]),
        (b"A: \xff\r\n", [("A", "\ufffd")]),
        ("A: grün\r\n".encode(), [("A", "grün")]),
        (b"A: =?utf-8?q?x?=\r\n", [("A", "=?utf-8?q?x?=")]),
    ],
)
def test_fields_are_unfolded_and_malformed_lines_dropped(raw, fields):
    headers = Headers(raw)
    assert list(headers) == fields
    assert len(headers) == len(fields)
    assert headers.raw == raw


def test_names_ignore_case():
    headers = Headers(b"Subject: a\r\nX: y\r\nSUBJECT: b\r\n")
    assert headers.get("subject") == "a"
    assert headers.get_all("sUbJeCt") == ["a", "b"]
    assert headers.get("to") is None
    assert headers.get_all("to") == []


@given(st.binary() | st.text(st.sampled_from("ab: \t\r\n\0")).map(str.encode))
def test_any_bytes_can_be_parsed(raw):
    for name, value in Headers(raw):
        assert name
        assert "\r\n" not in name + value
        assert value == value.strip()


_TEXT = st.text(st.sampled_from("abAB: \t\r\n\0"), max_size=60)


@given(raw=_TEXT.map(str.encode), more=st.lists(_TEXT, max_size=3))
def test_fields_are_found_by_name_as_an_iteration_finds_them(raw, more):
    headers = Headers(raw)
    for chosen in {*more, "", "a", "b", "A", *(name for name, _ in headers)}:
        expected = [value for name, value in headers if name.lower() == chosen.lower()]
        assert headers.get_all(chosen) == expected
        assert headers.get(chosen) == next(iter(expected), None)


def test_a_field_is_found_without_parsing_the_others():
    headers = Headers(b"A: b\r\n" * 1000 + b"Subject: x\r\n y\r\n")
    assert headers.get("subject") == "x y"
    assert headers._fields is None
