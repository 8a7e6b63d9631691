import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.invariants import assert_replies_well_formed

from gatepost.model.reply import MAX_LINE, MAX_LINES, RecipientReplies, Reply

ENHANCED = st.sampled_from([None, "5.7.1", "5.123.456"])


@given(st.text() | st.text(st.sampled_from("a\r\n\0\u2028\x1b é"), max_size=2000), ENHANCED)
def test_any_text_makes_a_well_formed_reply(text, enhanced):
    encoded = Reply(550, text, enhanced).encoded
    assert_replies_well_formed(encoded)
    assert encoded.startswith(b"550")


@given(st.text(), ENHANCED)
def test_a_reference_is_never_cut_off(text, enhanced):
    reply = Reply(550, text, enhanced).with_reference("01HX")
    assert_replies_well_formed(reply.encoded)
    assert reply.encoded.endswith(b" [01HX]\r\n")


@pytest.mark.parametrize(
    ("reply", "encoded"),
    [
        (Reply(250, "ok"), b"250 ok\r\n"),
        (Reply(250, "ok", "2.1.0"), b"250 2.1.0 ok\r\n"),
        (Reply(250, ""), b"250 \r\n"),
        (Reply(250, "a\nb", "2.0.0"), b"250-2.0.0 a\r\n250 2.0.0 b\r\n"),
        (Reply(250, "a\r\n250 b\r\n"), b"250-a\r\n250 250 b\r\n"),
        (Reply(550, "a\u2028b\x85c\0d\te\x1bf"), b"550-a\r\n550-b\r\n550 c?d?e?f\r\n"),
        (Reply(550, "grüße"), b"550 gr??e\r\n"),
        (Reply(550, "\r\r\n"), b"550-\r\n550 \r\n"),
    ],
)
def test_a_reply_is_encoded(reply, encoded):
    assert reply.encoded == encoded


def test_long_text_is_cut():
    reply = Reply(550, "x" * 1000, "5.7.1")
    assert reply.encoded == b"550 5.7.1 " + b"x" * 500 + b"\r\n"
    assert len(reply.encoded) == MAX_LINE
    assert Reply(250, "a\n" * 200).encoded.count(b"\r\n") == MAX_LINES


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("no", b"550 5.7.1 no [ref]\r\n"),
        ("a\nb\n", b"550-5.7.1 a\r\n550 5.7.1 b [ref]\r\n"),
        ("", b"550 5.7.1  [ref]\r\n"),
        ("x" * 600, b"550 5.7.1 " + b"x" * 494 + b" [ref]\r\n"),
    ],
)
def test_a_reference_ends_the_last_line(text, encoded):
    reply = Reply(550, text, "5.7.1", close=True).with_reference("ref")
    assert reply.encoded == encoded
    assert reply.close


def test_a_reference_on_too_many_lines():
    encoded = Reply(550, "a\n" * 200).with_reference("ref").encoded
    assert encoded.count(b"\r\n") == MAX_LINES
    assert encoded.endswith(b"\r\n550 a [ref]\r\n")


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("554 5.7.1 Message refused", Reply(554, "Message refused", "5.7.1")),
        ("  450 try later  ", Reply(450, "try later")),
        ("250", Reply(250, "")),
        ("554 5.7.1", Reply(554, "", "5.7.1")),
        ("554 5.7.1234 x", Reply(554, "5.7.1234 x")),
        ("554 a\nb", Reply(554, "a\nb")),
    ],
)
def test_a_configured_reply_is_parsed(text, reply):
    assert Reply.parse(text) == reply
    assert Reply.parse(text).code == reply.code
    assert Reply.parse(text).enhanced == reply.enhanced


@pytest.mark.parametrize(
    "text", ["", "no", "55", "5545 x", "199 x", "654 x", "554-x", "5.7.1 x", "55\u0664 x"]
)
def test_a_malformed_reply_is_refused(text):
    with pytest.raises(ValueError) as caught:
        Reply.parse(text)
    assert str(caught.value) == f"expected a reply such as '554 5.7.1 Text', found {text!r}"


@pytest.mark.parametrize(
    ("code", "enhanced", "message"),
    [
        (199, None, "expected a reply code from 200 to 599, found 199"),
        (600, None, "expected a reply code from 200 to 599, found 600"),
        (550, "5.7", "expected an enhanced status code such as 5.7.1, found '5.7'"),
        (550, "5.7.1 ", "expected an enhanced status code such as 5.7.1, found '5.7.1 '"),
        (550, "5.7.1\n", "expected an enhanced status code such as 5.7.1, found '5.7.1\\n'"),
        (550, "5.\u0667.1", "expected an enhanced status code such as 5.7.1, found '5.\u0667.1'"),
        (550, "5.1000.1", "expected an enhanced status code such as 5.7.1, found '5.1000.1'"),
        (354, "3.0.0", "expected an enhanced status code such as 5.7.1, found '3.0.0'"),
        (550, "4.7.1", "enhanced status code 4.7.1 does not go with reply code 550"),
        (354, "2.0.0", "enhanced status code 2.0.0 does not go with reply code 354"),
    ],
)
def test_malformed_codes_are_refused(code, enhanced, message):
    with pytest.raises(ValueError) as caught:
        Reply(code, "x", enhanced)
    assert str(caught.value) == message


def test_closing_sets_close_only():
    reply = Reply(451, "bye", "4.3.2")
    assert not reply.close
    closing = reply.closing()
    assert closing.close
    assert closing.encoded == reply.encoded
    assert closing.closing() is closing


def test_replies_are_compared_and_written_as_sent():
    assert Reply(250, "a") == Reply(250, "a")
    assert hash(Reply(250, "a")) == hash(Reply(250, "a"))
    assert Reply(250, "a") != Reply(250, "b")
    assert Reply(250, "a") != Reply(250, "a", close=True)
    assert Reply(250, "a") != "250 a"
    assert str(Reply(250, "a\nb", "2.0.0")) == "250-2.0.0 a\n250 2.0.0 b"
    assert repr(Reply(250, "a")) == "<Reply 250 a>"


def test_replies_of_recipients_are_sent_one_by_one():
    no, ok, later = Reply(550, "no", "5.7.1"), Reply(250, "ok", "2.0.0"), Reply(451, "later")
    replies = RecipientReplies([no, ok, later])
    assert replies.each == (no, ok, later)
    assert (replies.code, replies.enhanced, replies.text) == (250, "2.0.0", "ok")
    assert replies.encoded == b"550 5.7.1 no\r\n250 2.0.0 ok\r\n451 later\r\n"
    assert str(replies) == "550 5.7.1 no\n250 2.0.0 ok\n451 later"
    assert RecipientReplies([later, no]).code == 451


def test_a_reply_can_be_pickled():
    reply = Reply(421, "two\nlines", "4.7.0", close=True)
    assert pickle.loads(pickle.dumps(reply)) == reply


@pytest.mark.parametrize(
    ("code", "closes"), [(421, True), (451, False), (521, False), (250, False)]
)
def test_421_closes_the_connection(code, closes):
    reply = Reply(code, "text")
    assert reply.close == closes
    assert reply.with_reference("1-2").close == closes
    assert Reply.parse(f"{code} text").close == closes
