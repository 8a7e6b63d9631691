"""Arbitrary input raises only documented errors, and every verification ends with results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mailauth.checks import NOW, arc, dkim
from tests.mailauth.dkim.test_verify import KEY, MESSAGE, NAME, RECORDS
from tests.mailauth.reference import field, fields, signed

from gatepost.mailauth.dkim import HeaderBlock, SignError, read_signatures, sign
from gatepost.mailauth.dkim.fault import Fault
from gatepost.mailauth.dkim.header_block import relaxed_field
from gatepost.mailauth.dkim.key_record import KeyRecord, parse_record
from gatepost.mailauth.dkim.signature import without_signature
from gatepost.mailauth.dkim.tags import TagError, parse_tags

WORDS = {"pass", "fail", "policy", "neutral", "temperror", "permerror"}
TAG_TEXT = st.lists(
    st.sampled_from([*"abcdhilqstvxzp", "bh", "=", ";", " ", "\r\n ", "\t", ":", "@", "/", "1"])
    | st.sampled_from(["DKIM1", "rsa", "rsa-sha256", "from", "AAAA", "example.com", "=0D", "é"])
    | st.text(max_size=3),
    max_size=40,
).map("".join)
BLOCKS = st.lists(
    st.sampled_from([b"DKIM-Signature", b"ARC-Seal", b"From", b":", b"\r\n", b" ", b"\t", b";"])
    | st.sampled_from([b"\r", b"\n", b"\0", b"i=1", b"b=", b"ARC-Message-Signature: i=1"])
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)
VALID = signed(MESSAGE, KEY)


@given(TAG_TEXT)
def test_a_tag_list_is_parsed_or_refused(text):
    try:
        tags = parse_tags(text)
    except TagError:
        return
    assert all(name.isascii() and value == value.strip(" \t\r\n") for name, value in tags.items())
    assert len(tags) <= text.count("=")


@given(TAG_TEXT)
def test_a_key_record_is_parsed_or_has_a_fault(text):
    assert isinstance(parse_record(text), KeyRecord | Fault)


@given(TAG_TEXT, TAG_TEXT)
def test_a_signature_of_arbitrary_tags_has_a_result(text, record):
    message = b"DKIM-Signature: v=1; " + text.encode(errors="replace") + b"\r\n" + MESSAGE
    results = dkim(message, {NAME: record})
    assert {one.result for one in results} <= WORDS - {"pass"}


@given(BLOCKS, BLOCKS)
def test_arbitrary_octets_have_results(head, body):
    message = head + b"\r\n\r\n" + body
    assert {one.result for one in dkim(message, RECORDS)} <= WORDS
    assert arc(message, RECORDS).result in ("none", "fail")
    assert all(one.fault for one in read_signatures(head))


@given(st.integers(0, len(VALID) - 1), st.binary(min_size=0, max_size=2), st.integers(0, 3))
def test_a_mutated_message_passes_only_if_its_meaning_is_the_same(at, new, length):
    mutated = VALID[:at] + new + VALID[at + length :]
    for one in dkim(mutated, RECORDS, NOW):
        assert one.result in WORDS
        if one.result == "pass":
            assert (one.domain, one.identity) == ("example.com", "@example.com")
            assert b"joe@example.com" in mutated
            assert b"We lost the game." in mutated


@given(BLOCKS)
def test_arbitrary_fields_are_signed_or_refused(head):
    try:
        made = sign(head, b"x" * 32, domain="example.com", selector="s1", key=KEY, now=0)
    except SignError:
        return
    assert made.endswith(b"\r\n")


@given(BLOCKS)
def test_fields_are_split_and_canonical_as_in_the_reference(head):
    block = HeaderBlock(head)
    own = b"" if head[:2] == b"\r\n" else head.partition(b"\r\n\r\n")[0]
    assert block.fields == fields(own)
    for octets in block.fields:
        if b":" in octets:
            assert relaxed_field(octets) == field(octets, "relaxed")


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"S: a=1; b=AA\r\n AA; c=2", b"S: a=1; b=; c=2"),
        (b"S: b = AAAA ; bb=1", b"S: b =; bb=1"),
        (b"S:b=AA=\r\n\t;b2=b=;", b"S:b=;b2=b=;"),
        (b"S: bb=1;\r\n\tb=AAAA\r\n ", b"S: bb=1;\r\n\tb="),
    ],
)
def test_the_value_of_b_is_removed_with_the_white_space_around_it(octets, expected):
    assert without_signature(octets) == expected
