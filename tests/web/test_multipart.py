"""The parts of a form with files."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatepost.web.access.multipart import MOST_PARTS, MultipartError, Part, parse_multipart

TYPE = "multipart/form-data; boundary=b1"
FIELD = b'--b1\r\nContent-Disposition: form-data; name="to"\r\n\r\n'
END = b"\r\n--b1--\r\n"


def body_of(contents):
    return b"\r\n".join(FIELD + one for one in contents) + END


@given(st.lists(st.binary(), min_size=1, max_size=5))
def test_every_content_is_returned_as_it_is(contents):
    assume(not any(b"--b1" in one for one in contents))
    found = parse_multipart(TYPE, body_of(contents))
    assert found == [Part("to", one, is_file=False) for one in contents]


@given(st.binary(max_size=300))
def test_any_other_body_is_an_error(body):
    assume(b"--b1" not in body)
    with pytest.raises(MultipartError):
        parse_multipart(TYPE, body)


def test_a_file_has_other_header_fields():
    body = (
        b'--b1\r\nContent-Disposition: form-data; name="file"; filename="a;%22 name=.eml"\r\n'
        b"Content-Type: message/rfc822\r\n\r\n\r\n\r\n" + END
    )
    assert parse_multipart(TYPE, body) == [Part("file", b"\r\n\r\n", is_file=True)]


@pytest.mark.parametrize("boundary", ['"b1"', "b1; charset=utf-8", '"b1"; x=y'])
def test_a_boundary_may_be_quoted(boundary):
    assert parse_multipart(f"multipart/form-data; boundary={boundary}", body_of([b"x"]))


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("multipart/form-data", body_of([b"x"])),
        ("multipart/form-data; boundary=", body_of([b"x"])),
        (f"multipart/form-data; boundary={'b' * 71}", body_of([b"x"])),
        (TYPE, FIELD),
        (TYPE, b"preamble" + body_of([b"x"])),
        (TYPE, body_of([b"x"] * (MOST_PARTS + 1))),
        (TYPE, b"--b1\r\n\r\nx" + END),
        (TYPE, b'--b1\r\nContent-Disposition: form-data; name="a"' + END),
        (TYPE, FIELD.replace(b"to", b"\xff") + END),
        (TYPE, FIELD.replace(b"\r\n\r\n", b"\r\n") + b"x" + END),
    ],
)
def test_a_malformed_form_is_an_error(media_type, body):
    with pytest.raises(MultipartError):
        parse_multipart(media_type, body)


def test_text_that_is_no_utf8_is_an_error():
    [part] = parse_multipart(TYPE, body_of([b"\xff"]))
    with pytest.raises(MultipartError):
        _ = part.text
