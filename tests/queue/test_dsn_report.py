"""DSNs have an exact form, which untrusted text cannot break."""

import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.address import Address
from gatepost.queue.dsn.compose import reported_recipient
from gatepost.queue.dsn.report import MAX_QUOTED, ReportedMessage, ReportedRecipient, build_dsn
from gatepost.queue.spool.records import RecipientFacts

SENDER = Address.parse("alice@example.net")
BOB = Address.parse("bob@example.com")
NOW = 1_700_000_000.0
ORIGINAL = b"Subject: Hello\r\nFrom: alice@example.net\r\n\r\nText\r\n"


def reported(**changes):
    made = ReportedMessage(SENDER, "s-1.1", "", NOW - 60, NOW + 86400, ORIGINAL, full=False)
    return made._replace(**changes)


def made(action="failed", of=None, recipients=None):
    recipients = recipients or [
        ReportedRecipient(Address.parse("bob@example.com"), "", "550 5.1.1 No", "5.1.1")
    ]
    return build_dsn(action, of or reported(), recipients, hostname="mx.example.com", now=NOW)


GOLDEN = """\
From: Mail Delivery System <postmaster@mx.example.com>
To: <alice@example.net>
Subject: Delayed Mail (still being retried)
Date: Tue, 14 Nov 2023 22:13:20 +0000
Message-ID: <ID@mx.example.com>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type="delivery-status"; boundary="MARK"

This is a report in the format of RFC 3464.

--MARK
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.com.

Your message could not be delivered to the recipients below yet.
You do not need to send it again; delivery will be retried.

<bob@example.com>
    451 4.3.2 Busy

Delivery will be retried until Wed, 15 Nov 2023 22:13:20 +0000.

Reference: s-1.1

--MARK
Content-Type: message/delivery-status

Original-Envelope-Id: env-1
Reporting-MTA: dns; mx.example.com
Arrival-Date: Tue, 14 Nov 2023 22:12:20 +0000

Original-Recipient: rfc822;bobby@example.com
Final-Recipient: rfc822; bob@example.com
Action: delayed
Status: 4.3.2
Diagnostic-Code: smtp; 451 4.3.2 Busy
Last-Attempt-Date: Tue, 14 Nov 2023 22:13:20 +0000
Will-Retry-Until: Wed, 15 Nov 2023 22:13:20 +0000

--MARK
Content-Type: text/rfc822-headers; charset=us-ascii

Subject: Hello
From: alice@example.net

--MARK--
"""


def test_a_delay_dsn_has_exactly_this_form():
    bob = ReportedRecipient(
        Address.parse("bob@example.com"), "rfc822;bobby@example.com", "451 4.3.2 Busy", "4.3.2"
    )
    found = made("delayed", reported(envelope="env-1"), [bob]).decode()
    mark = re.search(r'boundary="(.*)"', found)[1]
    found = re.sub(r"Message-ID: <[0-9a-f]{24}", "Message-ID: <ID", found.replace(mark, "MARK"))
    assert found == GOLDEN.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("action", "subject"),
    [
        ("delivered", "Successful Mail Delivery Report"),
        ("relayed", "Successful Mail Delivery Report"),
    ],
)
def test_a_success_dsn_has_no_reply_and_no_expiry(action, subject):
    parsed = email.message_from_bytes(
        made(action, recipients=[ReportedRecipient(BOB, "", "", "2.0.0")])
    )
    assert parsed["Subject"] == subject
    words = parsed.get_payload(0).get_payload()
    assert "<bob@example.com>\r\n\r\nReference: s-1.1" in words
    assert parsed.get_payload(1).get_payload(1).items() == [
        ("Final-Recipient", "rfc822; bob@example.com"),
        ("Action", action),
        ("Status", "2.0.0"),
        ("Last-Attempt-Date", "Tue, 14 Nov 2023 22:13:20 +0000"),
    ]


def test_ret_full_includes_the_whole_message():
    original = ORIGINAL + "Grüße\r\n".encode()
    parsed = email.message_from_bytes(made(of=reported(full=True, original=original)))
    assert parsed.get_payload(2).get_content_type() == "message/rfc822"
    assert parsed.get_payload(2).get_payload(0)["Subject"] == "Hello"
    assert original in made(of=reported(full=True, original=original))


def test_an_endless_header_is_truncated():
    found = made(of=reported(original=b"X: " + b"y" * 10 * MAX_QUOTED))
    assert len(found) < MAX_QUOTED + 3000


def test_an_international_recipient_is_encoded():
    found = made(recipients=[ReportedRecipient(Address.parse("jörg@bücher.example"), "", "", "x")])
    report = email.message_from_bytes(found).get_payload(1).get_payload(1)
    assert report["Final-Recipient"] == r"utf-8; j\x{F6}rg@b\x{FC}cher.example"
    assert report["Status"] == "5.0.0"
    assert "Diagnostic-Code" not in report


def test_the_sender_may_be_international():
    assert "To: <jörg@bücher.example>".encode() in made(
        of=reported(sender=Address.parse("jörg@bücher.example"))
    )


@pytest.mark.parametrize(
    ("orcpt", "expected"),
    [
        ("rfc822;bob+2Bx@example.com", "rfc822;bob+2Bx@example.com"),
        ("rfc822;a b", "rfc822;a b"),
        ("rfc822", ""),
        ("", ""),
        ("utf-8;b\\x{FC}c", "utf-8;b\\x{FC}c"),
    ],
)
def test_orcpt_is_reported_as_original_recipient(orcpt, expected):
    facts = RecipientFacts(Address.parse("b@example.com"), {"ORCPT": orcpt})
    assert reported_recipient(facts, "", "").original == expected


texts = st.text(max_size=60) | st.sampled_from(
    ["\r\nX: y", "\r\n\r\n--", "a\rb", "a\nb", "\x85\u2028"]
)
addresses = st.builds(Address, texts, texts)
originals = st.binary(max_size=300) | st.sampled_from(
    [b"A: b\r\n--=_\r\n\r\n", b"\r\n\r\n", b"\n.\n"]
)


@given(
    action=st.sampled_from(["failed", "delayed", "delivered", "relayed"]),
    sender=addresses,
    ref=texts,
    envelope=texts,
    original=originals,
    recipients=st.lists(
        st.builds(ReportedRecipient, addresses, texts, texts, texts), min_size=1, max_size=4
    ),
)
def test_untrusted_text_cannot_break_the_report(  # noqa: PLR0917 - hypothesis names them
    action, sender, ref, envelope, original, recipients
):
    found = made(
        action, reported(sender=sender, ref=ref, envelope=envelope, original=original), recipients
    )
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", found)
    parsed = email.message_from_bytes(found, policy=email.policy.compat32)
    assert parsed.keys() == [
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
        "Content-Type",
    ]  # fmt: skip
    kinds = [part.get_content_type() for part in parsed.get_payload()]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    of_message, *of_recipients = parsed.get_payload(1).get_payload()
    assert of_message.keys()[-2:] == ["Reporting-MTA", "Arrival-Date"]
    assert len(of_recipients) == len(recipients)
    assert {one["Action"] for one in of_recipients} == {action}
    known = {"Original-Recipient", "Final-Recipient", "Action", "Status", "Diagnostic-Code"}
    known |= {"Last-Attempt-Date", "Will-Retry-Until"}
    assert all(set(one.keys()) <= known for one in of_recipients)
