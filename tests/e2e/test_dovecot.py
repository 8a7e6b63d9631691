"""tools/dovecot.py: mail sent by LMTP is stored, and no file remains afterwards."""

import smtplib

import pytest
from tests.waiting import eventually
from tools import dovecot

CONTENT = b"Subject: sample\r\n\r\n.some text\r\n"


def test_mail_is_stored_and_no_file_remains():
    if reason := dovecot.why_not():
        pytest.skip(reason)
    recipients = ["one@example.com", "two@other.example"]
    with dovecot.running() as store:
        with smtplib.LMTP("127.0.0.1", store.port) as client:
            for recipient in recipients:  # one by one: smtplib reads one reply after the content
                assert client.sendmail("sender@client.example", recipient, CONTENT) == {}
        for recipient in recipients:
            (message,) = store.mails(recipient)
            assert message.endswith(b"\nSubject: sample\n\n.some text\n")
        eventually(lambda: "saved mail to INBOX" in store.log())
    assert not store.folder.exists()
