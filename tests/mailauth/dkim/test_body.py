"""The hash of a body that arrives in chunks is that of the canonical body, however it is split."""

import itertools
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mailauth import reference
from tests.mailauth.messages import made

from gatepost.mailauth.dkim.body import BodyStream

FORMS = ("simple", "relaxed")
PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b"  \t ",
        b"\r\n\r\n",
        b"a",
        b".",
        b"\x00",
        b"\xff",
        b"ab c",
    ]
)
BODIES = st.lists(PIECES, max_size=40).map(b"".join)
LENGTHS = st.sampled_from([None, 0, 1, 2, 5, 17, 10**20])


def hashed(chunks, form, lengths=(None,)):
    stream = BodyStream(set(lengths), relaxed=form == "relaxed")
    for chunk in chunks:
        stream.update(chunk)
    return stream.finish()


def expected(body, form, length):
    canonical = reference.body(body, form)
    digest = sha256(canonical[:length]).digest()
    return digest, 0 if length is None else len(canonical) - length


def split(body, cuts):
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    return [body[a:b] for a, b in itertools.pairwise(places)]


@given(BODIES, st.lists(st.integers(0, 60), max_size=12), st.sets(LENGTHS, min_size=1))
@pytest.mark.parametrize("form", FORMS)
def test_any_split_has_the_hash_of_the_canonical_body(form, body, cuts, lengths):
    found = hashed(split(body, cuts), form, lengths)
    assert found == {length: expected(body, form, length) for length in lengths}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_generated_bodies_have_the_hash_of_the_canonical_body(form, size):
    for number in range(60):
        body = made(number).body
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        assert hashed(chunks, form)[None] == expected(body, form, None)


@pytest.mark.parametrize(
    ("form", "body", "canonical"),
    [
        ("simple", b"", b"\r\n"),
        ("relaxed", b"", b""),
        ("simple", b"\r\n\r\n", b"\r\n"),
        ("relaxed", b"\r\n\r\n", b""),
        ("relaxed", b" \t ", b""),
        ("simple", b"a", b"a\r\n"),
        ("relaxed", b"a \t", b"a\r\n"),
        # RFC 6376 section 3.4.5
        ("relaxed", b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        ("simple", b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n"),
    ],
)
def test_the_ends_of_bodies(form, body, canonical):
    assert reference.body(body, form) == canonical
    assert hashed([body], form)[None].digest == sha256(canonical).digest()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("line", [b"\r\n", b" ", b"\t\r\n", b"\r", b"\n\r", b"\r\n\n"])
def test_no_part_of_a_long_run_is_kept(form, line):
    stream = BodyStream({None}, relaxed=form == "relaxed")
    for _ in range(50):
        stream.update(line * 1000)
        assert len(stream._rest) <= 2
    stream.update(b"end")
    assert stream.finish()[None] == expected(line * 50_000 + b"end", form, None)
