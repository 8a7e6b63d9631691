"""A real Sendmail with Gatepost as its milter, set up as docs/sendmail.md describes."""

import re

import pytest
from tests.e2e.asking import MAIL, REFUSED, TEXT, UNKNOWN_TRAP, Asking
from tests.e2e.conftest import serving
from tools import sendmail

from gatepost.cli.shared.mail_servers import MAIL_SERVERS

LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\nprotocol = "milter"\n'
PORT = re.compile(r"\bmilter=127\.0\.0\.1:(\d+)")
# Accounts of Debian are the mailboxes. Gatepost's list of users has none of example.com.
USER, OTHER = "RCPT TO:<daemon@open.example>", "RCPT TO:<nobody@open.example>"
USER_TRAP = "RCPT TO:<bin@open.example>"
TRAPS = ("trap@example.com", "bin@open.example")


def start(server):
    port = PORT.search((server.folder / "log").read_text())[1]
    return sendmail.running(MAIL_SERVERS["sendmail"].settings.replace("8891", port))


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    if reason := sendmail.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("sendmail")
    with serving(folder, LISTEN, traps=TRAPS) as server, start(server) as mail:
        yield Asking(mail, server)


def test_an_unknown_trap_refuses_the_message_to_a_user(asking):
    replies = asking.send(MAIL, USER, UNKNOWN_TRAP, "DATA", "DATA")
    assert replies[2] == "550 5.1.1 <trap@example.com>... User unknown"
    assert replies[3:] == [REFUSED, REFUSED]


def test_a_trap_that_is_a_user_refuses_the_message(asking):
    replies = asking.send(MAIL, USER_TRAP, OTHER, "DATA")
    assert [one[:3] for one in replies[:3]] == ["250"] * 3
    assert replies[3] == REFUSED


def test_mail_without_a_trap_is_accepted(asking):
    before = len(asking.mail.queued())
    replies = asking.send(MAIL, UNKNOWN_TRAP, "RSET", MAIL, USER, "DATA", TEXT)
    assert replies[6].endswith("Message accepted for delivery")
    assert len(asking.mail.queued()) == before + 1


def test_sendmail_defers_while_gatepost_is_away(tmp_path):
    if reason := sendmail.why_not():
        pytest.skip(reason)
    with serving(tmp_path, LISTEN) as server, start(server) as mail:
        server.stop()
        replies = Asking(mail, server).send(MAIL)
        assert replies[0] == "451 4.3.2 Please try again later"
