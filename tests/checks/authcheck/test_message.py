"""Reading a message for the checks."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.checks.authcheck import message as module
from gatepost.checks.authcheck.message import MAX_HEADER, read_message
from gatepost.mailauth.dkim import HeaderBlock
from gatepost.mailauth.dkim.body_hashes import BodyHashes

SIGNED = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=x.example; s=s; h=from;"
    b" bh=eA==; b=eA==\r\nFrom: a@x.example\r\n\r\n"
)


def read(octets):
    return read_message(io.BytesIO(octets))


def body_hash(octets):
    return read(octets).hashes.get("relaxed").digest


@pytest.mark.parametrize(
    ("octets", "fields", "bare_lf"),
    [
        (b"", [], False),
        (b"A: b\r\n\r\nbody\r\n", [b"A: b"], False),
        (b"A: b\n\nbody\n", [b"A: b"], True),
        (b"A: b\r\n\r\nbody\n", [b"A: b"], True),
        (b"\r\nA: b\r\n\r\n", [], False),
        (b"\nA: b\n\n", [], True),
        (b"A: b\r\n c\r\nD: e", [b"A: b\r\n c", b"D: e"], False),
        (b"A: b\r", [b"A: b\r"], False),
    ],
)
def test_the_header_block_ends_at_the_first_empty_line(octets, fields, bare_lf):
    found = read(octets)
    assert (found.block.fields, found.bare_lf) == (fields, bare_lf)


def test_lines_in_lf_have_the_hash_of_lines_in_crlf():
    body = b"one\r\n two  \r\n\r\nthree\r\n"
    crlf = SIGNED + body
    lf = crlf.replace(b"\r\n", b"\n")
    assert body_hash(lf) == body_hash(crlf)
    assert read(lf).octets == read(crlf).octets == len(crlf)


@given(
    st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b" "])).map(b"".join), st.integers(1, 9)
)
def test_the_size_of_the_pieces_does_not_matter(body, size):
    whole = read(SIGNED + body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", size)
        pieces = read(SIGNED + body)
    assert pieces.block.fields == whole.block.fields
    assert pieces.octets == whole.octets
    expected = BodyHashes(whole.signatures)
    expected.update(body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    digest = expected.get("relaxed").digest
    assert pieces.hashes.get("relaxed").digest == whole.hashes.get("relaxed").digest == digest


def test_a_header_block_without_an_end_is_limited():
    with pytest.raises(ValueError, match=f"at most {MAX_HEADER} octets"):
        read(b"a" * (MAX_HEADER + 200_000))


def test_a_long_body_is_not_kept():
    class Endless(io.RawIOBase):
        pieces = 200

        def read(self, size):
            self.pieces -= 1
            return b"A: b\r\n\r\n" if self.pieces == 199 else b"x" * size * (self.pieces > 0)

    found = read_message(Endless())
    assert found.octets == 8 + 198 * 65_536
    assert found.block.fields == HeaderBlock(b"A: b\r\n\r\n").fields
