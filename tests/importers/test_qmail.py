"""qmail's lines (in `logs`), written for these tests in the formats of its manual and patches."""

import pytest
from tests.importers.read import dull, read, recipients, sample, survives

from gatepost.importers.qmail import QmailImporter
from gatepost.importers.transaction import Ending, Verdict

SEND = sample("qmail-send")

CHKUSER = sample("qmail-chkuser")

SPAMCONTROL = sample("qmail-spamcontrol")


def test_a_message_of_qmail_send_has_its_recipients():
    [found] = read(QmailImporter(), SEND)
    assert recipients(found) == {"ann@example.com": "accepted", "gone@example.com": "unknown"}
    assert (found.sender, found.size, found.ending) == ("jo@example.org", 2343, Ending.ACCEPTED)
    assert not found.is_trusted
    assert found.time == pytest.approx(1582362294.48)


def test_a_message_to_a_remote_recipient_is_one_of_our_own_users():
    [found] = read(QmailImporter(), SEND.replace("to local gone", "to remote gone"))
    assert found.is_trusted


def test_syslog_is_read():
    text = "\n".join(
        f"Feb 22 09:00:00 mx qmail: 1582362294.{at:06} {line.partition(' ')[2]}"
        for at, line in enumerate(SEND.strip().splitlines())
    )
    [found] = read(QmailImporter(), text)
    assert len(found.recipients) == 2


def test_the_lines_of_chkuser_are_one_transaction_with_the_verdict_of_simscan():
    [found] = read(QmailImporter(), CHKUSER)
    assert recipients(found) == {"no@example.com": "unknown", "a@example.com": "accepted"}
    assert (found.client, found.helo, found.name) == ("192.0.2.1", "helo.example", "")
    assert (found.verdict, found.score, found.ending) == (Verdict.SPAM, 15.1, Ending.REFUSED)


def test_a_transaction_is_accepted_if_a_recipient_was():
    first, second = CHKUSER.strip().splitlines()[:2]
    assert [one.ending for one in read(QmailImporter(), first)] == [Ending.REFUSED]
    assert [one.ending for one in read(QmailImporter(), f"{first}\n{second}")] == [Ending.ACCEPTED]


def test_the_lines_of_spamcontrol_are_read():
    [found] = read(QmailImporter(), SPAMCONTROL)
    assert recipients(found) == {"no@example.com": "unknown", "a@example.com": "accepted"}
    assert (found.client, found.name, found.helo) == ("192.0.2.1", "host.example", "helo.example")


def test_an_authenticated_user_is_trusted():
    [found] = read(QmailImporter(), CHKUSER.replace("net::>", "net:jo:>"))
    assert found.user == "jo"


def test_open_messages_are_bounded():
    line = SEND.strip().splitlines()[1]
    importer = QmailImporter(2)
    read(importer, "\n".join(line.replace("93869", str(at)) for at in range(5)))
    assert importer.dropped == 3


def test_a_huge_line_costs_no_more_than_its_length():
    pieces = [
        "CHKUSER ",
        "CHKUSER rejected rcpt: from <",
        "Reject::RCPT::a: ",
        " S:",
        "simscan:[1]:A (1/1):",
    ]
    dull(
        QmailImporter,
        "@400000005e50eec01c9c3800 ",
        [*pieces, ":", "::", "CHKUSER rejected rcpt:<:"],
    )


test_any_lines_are_read_without_an_error = survives(QmailImporter, SEND + CHKUSER + SPAMCONTROL)
