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
