"""Exim and OpenSMTPD as the tests run them: mail is received, and nothing of it stays behind."""

import smtplib

import pytest
from tests.e2e.server import eventually
from tools import exim, opensmtpd

CONTENT = b"Subject: sample\r\nDate: x\r\nMessage-ID: <1@client.example>\r\n\r\n.some text\r\n"


@pytest.fixture(params=[exim, opensmtpd], ids=["exim", "opensmtpd"])
def start(request):
    if why := request.param.why_not():
        pytest.skip(why)
    return request.param.running


def send(port, *recipients):
    with smtplib.SMTP("127.0.0.1", port) as client:
        return client.sendmail("sender@client.example", recipients, CONTENT)


def test_mail_is_received_and_nothing_stays(start):
    with start() as mail:
        assert send(mail.port, "one@example.com", "two@open.example") == {}
        eventually(lambda: len(mail.delivered()) == 2)
        (message,) = mail.mails("two@open.example")
        assert message.endswith(CONTENT.replace(b"\r\n", b"\n"))
        eventually(mail.is_idle)
        assert "two@open.example" in mail.log()
    assert not mail.folder.exists()


def test_it_is_no_open_relay_and_refuses_whom_it_is_told_to(start):
    with start(refused=["one@example.com"]) as mail:
        assert set(send(mail.port, "one@example.com", "two@example.com")) == {"one@example.com"}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(mail.port, "one@elsewhere.example")
