"""The structure of messages: parts, limits, decoding; any octets are read in linear time."""

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.files import MALFORMED, message, with_part

from gatepost.plugins import _mime
from gatepost.plugins._mime import Limits, read, texts
from gatepost.plugins._mime_decoding import PIECE, decode
from gatepost.plugins._mime_fields import (
    as_text,
    has_other_lines,
    media_type,
    read_fields,
    values,
    word,
)
from gatepost.plugins._mime_readers import other_names, without_inert_lines


def kinds(content, limits=None):
    return [(part.kind, part.depth) for part in read(content, limits).parts]


@given(MALFORMED)
def test_any_octets_are_read(content):
    structure = read(content, Limits(parts=20, depth=5, header=100))
    for part in structure.parts:
        assert 0 <= part.start <= part.end <= len(part.content)
        assert len(part.text(50)) <= 50
        assert all(part.names)
    assert other_names(content) is not None


@given(MALFORMED)
def test_leaves_that_are_not_encoded_do_not_overlap(content):
    places = sorted(
        (part.start, part.end)
        for part in read(content).parts
        if part.content is content and not part.is_container
    )
    assert all(first[1] <= second[0] for first, second in pairwise(places))


@given(st.text(max_size=200))
def test_any_value_has_parameters(text):
    assert "" not in values(text, "name", "filename")
    assert word(text) == word(text).lower()
    assert media_type(text).count("/") in (0, 1)


def test_parts_are_those_between_boundaries():
    content = message(
        "Content-Type: multipart/mixed; boundary=b",
        body="preamble\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\nepilogue\n--c",
    )
    parts = read(content).parts
    assert [(part.kind, part.body) for part in parts[1:]] == [
        ("text/plain", b"one"),
        ("text/html", b"two\r\n"),
    ]


def test_a_part_of_a_digest_is_a_message():
    body = "--b\n\nSubject: x\n\ntext\n--b--"
    content = message("Content-Type: multipart/digest; boundary=b", body=body)
    assert kinds(content) == [("multipart/digest", 0), ("message/rfc822", 1), ("text/plain", 2)]


def test_a_message_in_a_message_ends_with_the_multipart_around_it():
    body = "--b\nContent-Type: message/rfc822\n\nSubject: x\n\ntext\n--b\n\nlast\n--b--"
    content = message("Content-Type: multipart/mixed; boundary=b", body=body)
    assert [part.body for part in read(content).parts if not part.is_container] == [
        b"text",
        b"last",
    ]


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (b"Content-Type: multipart/mixed; boundary=b\r\n" + b"\r\n--b\r\n" * 30, "parts"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 30, "depth"),
        (b"Subject: " + b"x" * 2000, "header"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\n--x" * 30, "delimiters"),
    ],
)
def test_a_limit_that_is_exceeded_has_a_name(monkeypatch, content, limit):
    monkeypatch.setattr(_mime, "MOST_DELIMITERS", 20)
    assert read(content, Limits(parts=10, depth=5, header=1000)).exceeded == limit


def test_messages_that_are_encoded_in_each_other_have_the_same_limits():
    content = b"Subject: x\r\n\r\nx"
    for _ in range(8):
        head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        content = head + base64.encodebytes(content)
    assert read(content, Limits(depth=5)).exceeded == "depth"
    assert not read(content, Limits(depth=9)).exceeded


def test_texts_are_decoded_and_limited():
    body = (
        "--b\n\nabc\n--b\nContent-Type: image/png\n\nx\n--b\n"
        "Content-Type: text/html; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: quoted-printable\n\n=E4=F6\n--b--"
    )
    structure = read(message("Content-Type: multipart/mixed; boundary=b", body=body))
    assert list(texts(structure, 100)) == ["abc", "äö"]
    assert list(texts(structure, 4)) == ["abc", "ä"]
    assert list(texts(structure, 3)) == ["abc"]


@pytest.mark.parametrize(
    ("encoding", "body", "expected", "malformed"),
    [
        ("base64", b"YWJj\r\nZGVm", b"abcdef", False),
        ("base64", b"YWI=", b"ab", False),
        ("base64", b"YWI", b"ab", True),
        ("base64", b"YWJjZ", b"abc", True),
        ("base64", b"YQ==YWJj", b"aabc", True),
        ("base64", b"YW!Jj", b"abc", True),
        ("quoted-printable", b"a=3Db=\r\nc", b"a=bc", False),
        ("quoted-printable", b"a=zb", b"a=zb", True),
        ("x-uuencode", b"begin 644 a\n#86)C\n`\nend\n", b"abc", False),
        ("x-uuencode", b"#86)C\n", b"abc", True),
        ("x-uuencode", b"begin 644 a\n#86)C\n~~~~\n", b"abc", True),
        ("x-other", b"abc", b"abc", False),
    ],
)
def test_bodies_are_decoded(encoding, body, expected, malformed):
    assert decode(body, encoding) == (expected, malformed)


@given(st.binary(max_size=2000), st.integers(1, 90))
def test_base64_is_the_same_in_lines_of_any_length(octets, width):
    text = base64.b64encode(octets)
    lines = b"\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert decode(lines, "base64") == (octets, False)


def test_large_bodies_are_decoded_in_pieces():
    octets = bytes(range(256)) * 4000
    assert decode(base64.encodebytes(octets), "base64").octets == octets
    long_line = b"=41" * PIECE
    assert decode(long_line, "quoted-printable") == (b"A" * PIECE, False)


def test_an_unknown_character_set_is_read_as_utf_8():
    assert as_text("ä".encode(), "x-unknown") == "ä"
    assert as_text(b"\xff", "utf-8") == "\ufffd"
    assert as_text(b"+//8-", "utf-7") == "\uffff"


def test_lines_that_are_no_fields_are_left_out():
    block = b" continued\r\nContent-Type: a\r\n b\r\nno field\r\nContent-X : \xe4\r\nX-Content-Y: z"
    assert read_fields(block) == [("content-type", "a b"), ("content-x", "ä")]


@pytest.mark.parametrize(
    ("block", "other"),
    [
        (b"A: b\r\nC : d\r\n e", False),
        (b"", False),
        (b" A: b", True),
        (b"A: b\r\nno field", True),
        (b"no field\r\nA: b", True),
        (b"A: b\n: c", True),
    ],
)
def test_lines_that_are_no_fields_are_found(block, other):
    assert has_other_lines(block) == other


def test_the_content_for_other_readers_has_no_inert_lines():
    content = with_part(
        "Content-Type: application/x; name=a.bin", body="QUJD" * 19 + ("\n" + "QUJD" * 19) * 5000
    )
    short = without_inert_lines(content)
    assert len(short) < 5000
    assert other_names(content) == ["a.bin"]
    assert [part.names for part in read(short).parts] == [[], ["a.bin"]]


@given(MALFORMED)
def test_without_inert_lines_the_parts_are_the_same(content):
    long = content.replace(b"x", b"\n" + (b"QUJD" * 15 + b"\r\n") * 4)
    assert kinds(long) == kinds(without_inert_lines(long))


def test_deep_messages_are_no_error_for_the_email_package():
    assert other_names(b"Content-Type: message/rfc822\r\n\r\n" * 3000) == []
