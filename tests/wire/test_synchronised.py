"""Synchronisation: which commands may be sent ahead (RFC 2920 section 3.1)."""

import pytest
from tests.wire.driver import DATA, DENIED, GREETING, HELLO, MAIL, RCPT, bytewise, play, usual

from gatepost.wire import events as e
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import NEED_DATA, SmtpServer, WireLimits
from gatepost.wire.smtp import replies as r

SYNCHRONISED = WireLimits(synchronised=True)
TOO_EARLY = str(r.NOT_SYNCHRONISED)
HELO = HELLO.replace(b"EHLO", b"HELO")


def turns(*pieces, make=SmtpServer):
    """Send each piece after the replies to the previous one; return the replies to the last."""

    def cut(_data):
        return pieces

    before = len(play(b"", lambda _: pieces[:-1], limits=SYNCHRONISED, make=make).replies)
    return play(b"", cut, limits=SYNCHRONISED, make=make).replies[before:]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"EHLO a\r\nMAIL FROM:<>\r\n"],
        [b"ehlo a\r\n\r\n"],
        [b"HELO a\r\nMAIL FROM:<>\r\n"],
        [HELLO, b"NOOP\r\nNOOP\r\n"],
        [HELLO, b"VRFY a\r\nRSET\r\n"],
        [HELLO, b"EXPN a\r\nRSET\r\n"],
        [HELLO, b"DATA\r\nSubject: x\r\n"],  # also if out of order
        [HELLO, RCPT.removeprefix(HELLO), b"DATA\r\nSubject: x\r\n\r\n.\r\n"],
        [HELLO, RCPT.removeprefix(HELLO), b"DATA\r\n."],
        [HELLO, RCPT.removeprefix(HELLO), b"DATA\r\nRSET\r\n"],
        [HELO, b"MAIL FROM:<>\r\nRCPT TO:<b@gate.example>\r\n"],
        [HELO, b"RSET\r\nQUIT\r\n"],
    ],
)
def test_input_sent_too_early_closes(pieces):
    assert turns(*pieces) == [TOO_EARLY]


@pytest.mark.parametrize(
    ("pieces", "codes"),
    [
        ([HELLO, RCPT.removeprefix(HELLO) + b"DATA\r\n"], "250 250 354"),
        ([HELLO, b"RSET\r\n" + DATA.removeprefix(HELLO)], "250 250 250 354"),
        ([DATA.removeprefix(HELLO)], "503 503 503"),
        ([*DATA.splitlines(keepends=True), b"x\r\n.\r\nMAIL FROM:<>\r\nQUIT\r\n"], "250 250 221"),
        ([HELLO, RCPT.removeprefix(HELLO) + b"BDAT 1 LAST\r\nxQUIT\r\n"], "250 250 250 221"),
        ([HELLO, b"NOOP\r\n"], "250"),
        ([HELO, b"MAIL FROM:<>\r\n", b"RCPT TO:<b@gate.example>\r\n", b"BDAT 1 LAST\r\nx"], "250"),
        ([HELO, HELLO, MAIL.removeprefix(HELLO) + b"RSET\r\n"], "250 250"),
        ([HELLO, b"QUIT\r\nMAIL FROM:<>\r\n"], "221"),
    ],
)
def test_allowed_pipelining_is_accepted(pieces, codes):
    assert [reply[:3] for reply in turns(*pieces)] == codes.split()


def test_a_client_that_waits_for_replies_is_unaffected():
    data = DATA + b"text\r\n.\r\nNOOP\r\nQUIT\r\n"
    assert play(data, bytewise, limits=SYNCHRONISED).replies == play(data).replies


def test_lmtp_is_synchronised_in_the_same_way():
    lhlo = b"LHLO a\r\n"
    assert turns(lhlo + b"NOOP\r\n", make=LmtpServer) == [TOO_EARLY]
    envelope = RCPT.removeprefix(HELLO) + b"DATA\r\n"
    assert len(turns(lhlo, envelope, make=LmtpServer)) == 3


@pytest.mark.parametrize("answer", [None, DENIED], ids=["taken", "refused"])
def test_content_sent_before_the_reply_to_data_closes(answer):
    """If DATA were refused, its lines would be read as commands."""
    wire = SmtpServer(SYNCHRONISED)
    wire.next_event()
    wire.send(GREETING)
    for line in DATA.splitlines(keepends=True):
        wire.receive_data(line)
        event = wire.next_event()
        if not isinstance(event, e.Data):
            wire.send(usual(event))
    wire.receive_data(b"RSET\r\n")
    sent = wire.send(answer or usual(event))
    assert sent == (answer or r.NOT_SYNCHRONISED).encoded
    assert wire.closed
    assert wire.next_event() is not NEED_DATA
