"""The agreed state changes when the reply is known, and only if it is not a refusal."""

import pytest
from tests.wire.driver import DENIED, HELLO, OK, but, drain, play, usual

from gatepost.wire import events as e
from gatepost.wire.protocol import Wire
from gatepost.wire.smtp import SmtpServer, State, WireLimits

HELO = b"HELO client.example\r\n"
UTF8_MAIL = "MAIL FROM:<ä@b> SMTPUTF8\r\n".encode()
UTF8_RCPT = "RCPT TO:<ö@d>\r\n".encode()
SYNCHRONISED = WireLimits(synchronised=True)


def test_smtp_server_satisfies_the_contract():
    wire: Wire = SmtpServer(WireLimits())
    assert (wire.unread, wire.closed) == (0, False)


@pytest.mark.parametrize(
    ("greetings", "plain"),
    [(HELO, True), (HELLO, False), (HELO + HELLO, False), (HELLO + HELO, True)],
)
def test_the_last_greeting_decides_about_extensions(greetings, plain):
    assert play(greetings).server.agreed.plain is plain


@pytest.mark.parametrize("refused", [b"EHLO\r\n", b"EHLO again\r\n"])
def test_a_refused_ehlo_leaves_helo_in_force(refused):
    played = play(HELO + refused, answer=but({e.Ehlo: DENIED}))
    assert played.server.agreed.plain
    assert played.state is State.READY


@pytest.mark.parametrize("refused", [b"HELO\r\n", b"HELO again\r\n"])
def test_a_refused_helo_leaves_ehlo_in_force(refused):
    played = play(HELLO + refused, answer=but({e.Helo: DENIED}))
    assert not played.server.agreed.plain


def test_nothing_changes_before_the_reply():
    server = SmtpServer(WireLimits())
    server.receive_data(HELO + UTF8_MAIL)
    for event in drain(server):
        if type(event) is e.Mail:
            break
        server.send(usual(event))
    assert not server.agreed.smtputf8
    assert server.state is State.READY
    server.send(OK)
    assert server.agreed.smtputf8
    assert server.state is State.MAIL


def test_a_refused_mail_with_smtputf8_allows_no_recipient():
    played = play(HELLO + UTF8_MAIL + UTF8_RCPT, answer=but({e.Mail: DENIED}))
    assert not played.server.agreed.smtputf8
    assert played.replies[1:] == [
        str(DENIED),
        "503 5.5.1 Bad sequence of commands: MAIL first",
    ]


def test_smtputf8_is_of_one_transaction():
    dialogue = HELLO + UTF8_MAIL + b"RSET\r\nMAIL FROM:<a@b>\r\n" + UTF8_RCPT
    assert play(dialogue).replies[-1].startswith("553 5.6.7 ")


def test_helo_after_a_refused_ehlo_may_not_pipeline():
    def turns(_data):
        return [HELO, b"EHLO\r\n", b"RSET\r\nRSET\r\n"]

    assert play(b"", turns, limits=SYNCHRONISED).replies[-1].startswith("554 5.5.0 ")
