import pytest
from tests.vectors import SMUGGLING as SEQUENCES
from tests.wire.driver import DATA, HELLO, RCPT, SPLITS, bytewise, play
from tests.wire.invariants import assert_content_pure

from gatepost.wire import events as e
from gatepost.wire.smtp import WireLimits

REFUSED = "550 5.6.0 Message contains a bare CR, bare LF or NUL"
BAD_LINE = "500 5.5.2 Bare <CR> or <LF> received"
TOO_BIG = "552 5.3.4 Message size exceeds the limit"

SECOND = b"MAIL FROM:<evil@x>\r\nRCPT TO:<u@local>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\nx\r\n.\r\n"


def assert_one_refusal(played):
    """Assert one refusal of the whole message, and no input read after it."""
    assert played.replies[3:] == ["354 go ahead", REFUSED]
    assert [event.path.local for event in played.of(e.Mail)] == ["a"]
    assert played.of(e.EndOfMessage) == []
    assert played.of(e.Content) == []
    assert played.closed


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize(
    "before",
    [b"Subject: a\r\n\r\nbody ", b"Subject: a", b"", b"From x\r\n"],
    ids=["in the body", "in the header", "first bytes", "at the start of a line"],
)
def test_only_crlf_dot_crlf_ends_a_message(before, sequence, split):
    assert_one_refusal(play(DATA + before + sequence + SECOND, split))


@pytest.mark.parametrize("split", SPLITS)
def test_crlf_dot_crlf_after_a_bare_cr_ends_the_message(split):
    """A conforming sender stuffs that dot, so the next line is a command."""
    assert_one_refusal(play(DATA + b"Subject: a\r\n\r\nbody \r\r\n.\r\n" + SECOND, split))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_smuggling_over_the_size_limit_is_refused(sequence, split):
    limits = WireLimits(message_size=100)
    assert_one_refusal(play(DATA + b"x" * 200 + sequence + SECOND, split, limits=limits))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_smuggling_in_a_chunk_is_refused(sequence, split):
    body = b"Subject: a\r\n\r\nbody " + sequence + SECOND
    played = play(RCPT + b"BDAT %d LAST\r\n" % len(body) + body + b"NOOP\r\n", split)
    assert played.replies[3:] == [REFUSED]
    assert played.of(e.EndOfMessage) == played.of(e.Noop) == []
    assert played.closed


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"x\r\n.\r\n", b"x\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"x\r\n..\r\n.\r\n", b"x\r\n.\r\n"),
        (b"x\r\n..y\r\n..\r\nz..\r\n.\r\n", b"x\r\n.y\r\n.\r\nz..\r\n"),
        (b"\r\n\r\n..\r\n\r\n.\r\n", b"\r\n\r\n.\r\n\r\n"),
        (b"\xff\xfe\x80\r\n.\r\n", b"\xff\xfe\x80\r\n"),
    ],
)
def test_only_dot_stuffing_is_removed(sent, received, split):
    played = play(DATA + sent + b"NOOP\r\n", split)
    assert b"".join(event.data for event in played.of(e.Content)) == received
    assert played.replies[3:] == ["354 go ahead", "250 2.0.0 ok", "250 2.0.0 ok"]
    assert_content_pure(played.events)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    "line",
    [
        b"EHLO x\n",
        b"NOOP\r\r\n",
        b"MAIL FROM:<a@b>\rNOOP\r\n",
        b"RCPT TO:<a@b>\nDATA\r\n",
        b"\n",
        b"\r\r\n",
        b"\xff\rNOOP\r\n",
        b"NOOP \0\r\r\n",
    ],
)
def test_a_bare_cr_or_lf_in_a_command_closes(line, split):
    played = play(HELLO + line + b"NOOP\r\n", split)
    assert played.replies == ["250 2.0.0 ok", BAD_LINE]
    assert played.closed
    assert len(played.events) == 2


def test_a_cr_at_the_end_of_input_waits_for_its_lf():
    played = play(HELLO + b"MAIL FROM:<a@b>\r", bytewise)
    assert played.replies == ["250 2.0.0 ok"]
    assert not played.closed
    assert played.server.unread == 16


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"NOOP \0", "500 5.5.2 Syntax error: non-printable character"),
        (b"NOOP \x1b[31m", "500 5.5.2 Syntax error: non-printable character"),
        (b"NOOP\tx", "500 5.5.2 Syntax error: non-printable character"),
        (b"NOOP \xff", "500 5.5.2 Syntax error: non-printable character"),
        (b"NOOP \xc2\x85", "500 5.5.2 Syntax error: non-printable character"),
        ("NOOP \u2028".encode(), "500 5.5.2 Syntax error: non-printable character"),
        ("EHLO a\u202eb".encode(), "500 5.5.2 Syntax error: non-printable character"),
        (b"EHLO \xed\xb2\x80", "500 5.5.2 Syntax error: non-printable character"),
        (b"", "500 5.5.2 Syntax error: command unrecognised"),
        (b" NOOP", "500 5.5.2 Syntax error: command unrecognised"),
        (b"<>", "500 5.5.2 Syntax error: command unrecognised"),
        (b"X" * 17, "500 5.5.2 Syntax error: command unrecognised"),
        ("R\u017fET".encode(), "500 5.5.2 Syntax error: command unrecognised"),
        ("QU\u0131T".encode(), "500 5.5.2 Syntax error: command unrecognised"),
    ],
)
def test_unreadable_commands_are_refused_and_the_session_continues(line, reply, split):
    played = play(HELLO + line + b"\r\nNOOP\r\n", split)
    assert played.replies == ["250 2.0.0 ok", reply, "250 2.0.0 ok"]


@pytest.mark.parametrize("verb", ["GET", "POST", "CONNECT", "PUT", "HEAD", "options", "patch"])
def test_http_requests_close_the_connection(verb):
    played = play(f"{verb} / HTTP/1.1\r\nEHLO x\r\n".encode())
    assert played.replies == ["554 5.5.1 This is an SMTP server"]
    assert played.closed
