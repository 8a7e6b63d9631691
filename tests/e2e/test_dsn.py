"""Success DSNs, from the request of the client to the mailbox of the sender."""

import email
import re
import smtplib

import pytest
from tests.e2e.conftest import relay, relaying, serving
from tests.e2e.server import eventually
from tools import postfix

BODY = "Subject: important\r\n\r\ntext\r\n"
PARAMETERS = {"mail_options": ["RET=FULL", "ENVID=number+2B1"]}


def send(port, sender, recipients):
    """Send a message to recipients, each with its parameters."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        assert client.has_extn("dsn")
        assert client.mail(sender, PARAMETERS["mail_options"])[0] == 250
        for address, *params in recipients:
            assert client.rcpt(address, params)[0] == 250
        assert client.data(BODY)[0] == 250


def report(octets):
    """Return the fields of a DSN: those of the message, and those of each recipient."""
    parsed = email.message_from_bytes(octets)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    text, status, original = parsed.get_payload()
    assert text.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: important" in original.get_payload()
    return [dict(part.items()) for part in status.get_payload()]


def the_dsn(server, address):
    (mail,) = eventually(lambda: [*server.maildir(*reversed(address.split("@"))).glob("new/*")])
    return report(mail.read_bytes())


@pytest.mark.parametrize("mode", ["queue", "direct"])
def test_a_sender_receives_a_dsn_for_a_delivery(tmp_path, mode):
    with serving(tmp_path, route=f'mode = "{mode}"') as server:
        send(
            server.port,
            "alice@open.example",
            [
                ("1@open.example", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;one+2Bx@list.example"),
                ("2@open.example", "NOTIFY=NEVER"),
                ("3@open.example",),
            ],
        )
        of_message, *of_recipients = the_dsn(server, "alice@open.example")
    assert of_message["Original-Envelope-Id"] == "number+1"
    assert of_message["Reporting-MTA"] == "dns; mx.example.com"
    (of_one,) = of_recipients
    assert of_one.pop("Last-Attempt-Date")
    assert of_one == {
        "Original-Recipient": "rfc822;one+x@list.example",
        "Final-Recipient": "rfc822; 1@open.example",
        "Action": "delivered",
        "Status": "2.0.0",
    }


@pytest.mark.parametrize("mode", ["queue", "direct"])
@pytest.mark.parametrize(
    ("keywords", "reporter", "action"),
    [("", "mail.example.com", "delivered"), ("dsn", "mx.example.com", "relayed")],
)
def test_a_postfix_that_offers_dsn_notifies_the_sender(tmp_path, mode, keywords, reporter, action):
    if reason := postfix.why_not():
        pytest.skip(reason)
    options = {"mynetworks": "127.0.0.0/8", "smtpd_discard_ehlo_keywords": keywords}
    with (
        postfix.running(options) as mail,
        relaying(tmp_path, relay(mail.port, "verify = false", mode)) as gate,
    ):
        recipient = ("bob@example.com", "NOTIFY=SUCCESS", "ORCPT=rfc822;bobby@example.com")
        send(gate.port, "alice@example.com", [recipient])
        (dsn,) = eventually(lambda: mail.mails("alice@example.com"))
        eventually(mail.is_idle)
        assert len(mail.mails("alice@example.com")) == 1
    of_message, of_recipient = report(dsn)
    assert of_message["Reporting-MTA"] == f"dns; {reporter}"
    assert of_message["Original-Envelope-Id"] == "number+1"
    assert of_recipient["Original-Recipient"].replace(" ", "") == "rfc822;bobby@example.com"
    assert (of_recipient["Action"], of_recipient["Status"]) == (action, "2.0.0")


@pytest.mark.parametrize(
    ("discarded", "reporter", "action"),
    [("", "mx.example.com", "delivered"), ("dsn", "mail.example.com", "relayed")],
)
def test_a_postfix_in_front_can_keep_the_dsns(tmp_path, discarded, reporter, action):
    if reason := postfix.why_not():
        pytest.skip(reason)
    listen = '\n[[listen]]\naddress = "127.0.0.1:0"\nprotocol = "lmtp"\n'
    with serving(tmp_path, listen) as gate:
        port = re.search(r" lmtp=127\.0\.0\.1:(\d+)", (tmp_path / "log").read_text())[1]
        options = {
            "virtual_transport": f"lmtp:inet:127.0.0.1:{port}",
            "lmtp_discard_lhlo_keywords": discarded,
        }
        with postfix.running(options) as mail:
            send(mail.port, "alice@example.com", [("bob@example.com", "NOTIFY=SUCCESS")])
            of_message, of_recipient = the_dsn(gate, "alice@example.com")
            eventually(mail.is_idle)
        assert len(gate.mails("bob@example.com")) == 1
        assert len([*gate.maildir("example.com", "alice").glob("new/*")]) == 1
    assert of_message["Reporting-MTA"] == f"dns; {reporter}"
    assert (of_recipient["Action"], of_recipient["Status"]) == (action, "2.0.0")
