"""tools/postfix.py: mail is received, and no file remains afterwards."""

import smtplib

import pytest
from tests.e2e.server import eventually
from tools import postfix
from tools.daemon import free_port

CONTENT = b"Subject: sample\r\n\r\n.some text\r\n"


@pytest.fixture
def start():
    if reason := postfix.why_not():
        pytest.skip(reason)
    return postfix.running


def send(port, *recipients):
    with smtplib.SMTP("127.0.0.1", port) as client:
        return client.sendmail("sender@client.example", recipients, CONTENT)


def test_mail_is_received_and_no_file_remains(start):
    with start() as mail:
        assert send(mail.port, "one@example.com", "two@example.com") == {}
        eventually(lambda: len(mail.delivered()) == 2)
        (message,) = mail.mails("two@example.com")
        assert message.endswith(b"\nSubject: sample\n\n.some text\n")
        eventually(lambda: "status=sent" in mail.log())
    assert not mail.folder.exists()


def test_it_relays_to_no_other_domain(start):
    with start() as mail, pytest.raises(smtplib.SMTPRecipientsRefused, match="Relay access denied"):
        send(mail.port, "one@elsewhere.example")


def test_parameters_and_services_can_be_added(start):
    port = free_port()
    services = [f"127.0.0.1:{port} inet n - n - - smtpd", "  -o smtpd_banner=other"]
    with start({"smtpd_banner": "$myhostname this"}, services) as mail:
        with smtplib.SMTP() as client:
            assert client.connect("127.0.0.1", mail.port) == (220, b"mail.example.com this")
        with smtplib.SMTP() as client:
            assert client.connect("127.0.0.1", port) == (220, b"other")
