"""tools/exim.py and tools/opensmtpd.py: mail is received, and no file remains afterwards."""

import smtplib

import pytest
from tests.e2e.server import eventually
from tools import exim, opensmtpd

CONTENT = b"Subject: sample\r\nDate: x\r\nMessage-ID: <1@client.example>\r\n\r\n.some text\r\n"


@pytest.fixture(params=[exim, opensmtpd], ids=["exim", "opensmtpd"])
def start(request):
    if reason := request.param.why_not():
        pytest.skip(reason)
    return request.param.running


def send(port, *recipients):
    with smtplib.SMTP("127.0.0.1", port) as client:
        return client.sendmail("sender@client.example", recipients, CONTENT)


def test_mail_is_received_and_no_file_remains(start):
    with start() as mail:
        assert send(mail.port, "one@example.com", "two@open.example") == {}
        eventually(lambda: len(mail.delivered()) == 2)
        (message,) = mail.mails("two@open.example")
        assert message.endswith(CONTENT.replace(b"\r\n", b"\n"))
        eventually(mail.is_idle)
        eventually(lambda: "two@open.example" in mail.log())
    assert not mail.folder.exists()


def test_it_relays_to_no_other_domain_and_refuses_given_recipients(start):
    with start(refused=["one@example.com"]) as mail:
        assert set(send(mail.port, "one@example.com", "two@example.com")) == {"one@example.com"}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(mail.port, "one@elsewhere.example")
