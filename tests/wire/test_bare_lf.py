"""Clients whose content may have a bare LF: it ends a line, and never the message."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import SMUGGLING as SEQUENCES
from tests.wire.driver import DATA, HELLO, RCPT, SPLITS, bytewise, play
from tests.wire.invariants import assert_content_pure

from gatepost.wire import events as e
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import SmtpServer, WireLimits

REFUSED = "550 5.6.0 Message contains a bare CR, bare LF or NUL"
SECOND = b"MAIL FROM:<evil@x>\r\nRCPT TO:<u@local>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\nx"


def tolerant(limits, make=SmtpServer, **options):
    server = make(limits, **options)
    server.agreed.bare_lf = True
    return server


def content(played):
    return b"".join(event.data for event in played.of(e.Content))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (b"a\nb\r\nc\n\r\n", b"a\r\nb\r\nc\r\n\r\n"),
        (b"\n\n\r\n", b"\r\n\r\n\r\n"),
        (b"a\n..b\r\n", b"a\r\n.b\r\n"),
        (b"a\n.b\n...\r\n", b"a\r\nb\r\n..\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\n.\r\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\r\n.\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b".\nb\r\n", b"\r\nb\r\n"),
        (b"..\n", b".\r\n"),
        (b"", b""),
        (b"a\r\n..\r\n", b"a\r\n.\r\n"),
    ],
)
def test_a_bare_lf_becomes_crlf(sent, received, split):
    end = b".\r\n" if sent.endswith(b"\r\n") or not sent else b"\r\n.\r\n"
    received += b"" if end == b".\r\n" else b"\r\n"
    played = play(DATA + sent + end + b"NOOP\r\n", split, make=tolerant)
    assert content(played) == received
    assert played.replies[3:] == ["354 go ahead", "250 2.0.0 ok", "250 2.0.0 ok"]
    assert_content_pure(played.events)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sequence", [*SEQUENCES, b"\n.\n.\n", b"\n\n.\r\n", b"\r\n\n.\n"])
def test_no_sequence_with_a_bare_lf_ends_the_message(sequence, split):
    played = play(DATA + b"body" + sequence + SECOND + b"\r\n.\r\n", split, make=tolerant)
    assert [event.path.local for event in played.of(e.Mail)] == ["a"]
    if b"\r" in sequence.replace(b"\r\n", b"") or b"\0" in sequence:
        assert played.replies[3:] == ["354 go ahead", REFUSED]
        assert played.of(e.EndOfMessage) == []
    else:
        assert played.replies[3:] == ["354 go ahead", "250 2.0.0 ok"]
        assert content(played).endswith(b"Subject: SMUGGLED\r\n\r\nx\r\n")
        assert_content_pure(played.events)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("cut", range(1, 9))
def test_a_bare_lf_in_a_chunk_becomes_crlf(cut, split):
    body = b"a\r\n\nb\n.\n"
    sent = b"BDAT %d\r\n" % cut + body[:cut] + b"BDAT %d LAST\r\n" % (len(body) - cut) + body[cut:]
    played = play(RCPT + sent + b"NOOP\r\n", split, make=tolerant)
    assert content(played) == b"a\r\n\r\nb\r\n.\r\n"
    assert played.replies[-1] == "250 2.0.0 ok"
    assert_content_pure(played.events)


def test_a_bare_lf_is_accepted_in_lmtp():
    sent = b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\na\nb\r\n.\r\n"
    played = play(sent, make=lambda limits, **more: tolerant(limits, LmtpServer, **more))
    assert content(played) == b"a\r\nb\r\n"


def test_the_limit_applies_to_the_content_with_crlf():
    limits = WireLimits(message_size=10)
    accepted = play(DATA + b"\n\n\n\n\r\n.\r\n", bytewise, make=tolerant, limits=limits)
    assert accepted.replies[-1] == "250 2.0.0 ok"
    refused = play(DATA + b"\n\n\n\n\n\r\n.\r\n", bytewise, make=tolerant, limits=limits)
    assert refused.replies[-1] == "552 5.3.4 Message size exceeds the limit"


def test_a_bare_lf_in_a_command_is_refused():
    played = play(HELLO + b"NOOP\n", make=tolerant)
    assert played.replies[-1] == "500 5.5.2 Bare <CR> or <LF> received"


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b".", b"x", b".."])).map(b"".join))
def test_content_does_not_depend_on_how_the_input_is_cut(body):
    body = b"x" + body.replace(b"\r\n.\r\n", b"")
    expected = None
    for split in SPLITS:
        played = play(DATA + body + b"\r\n.\r\nQUIT\r\n", split, make=tolerant)
        assert_content_pure(played.events)
        expected = expected or content(played)
        assert content(played) == expected
    lines = re.split(rb"\r?\n", re.split(rb"\r\n\.\r\n", body + b"\r\n.\r\n")[0])
    assert expected == b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)
