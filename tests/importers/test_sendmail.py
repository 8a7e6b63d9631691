"""Sendmail's lines (in `logs`), written for these tests in the formats of its operations guide."""

import pytest
from tests.importers.read import dull, read, recipients, sample, survives

from gatepost.importers.sendmail import SendmailImporter
from gatepost.importers.transaction import Ending, Verdict

REFUSED = sample("sendmail-refused")

ACCEPTED = sample("sendmail-accepted")


def test_refused_recipients_are_found():
    [found] = read(SendmailImporter(), REFUSED)
    assert recipients(found) == {
        "danil@example.com": "unknown",
        "danila@example.com": "unknown",
        "x@example.org": "refused",
    }
    assert (found.client, found.name, found.sender) == (
        "192.0.2.1",
        "host.example.net",
        "s@example.net",
    )
    assert found.ending is Ending.ABANDONED


def test_a_transaction_without_recipients_is_refused():
    text = "\n".join(line for line in REFUSED.splitlines() if "lost input" not in line)
    [found] = read(SendmailImporter(), text)
    assert found.ending is Ending.REFUSED


def test_an_accepted_message_is_found():
    [found] = read(SendmailImporter(), ACCEPTED)
    assert recipients(found) == {"a@example.com": "accepted", "b@example.com": "accepted"}
    assert (found.ending, found.size, found.message_id) == (
        Ending.ACCEPTED,
        1234,
        "<m1@example.org>",
    )
    assert (found.has_tls, found.is_trusted) == (True, False)


def test_a_delivery_that_fails_with_an_unknown_user():
    text = ACCEPTED.replace("dsn=2.0.0, stat=Sent", "dsn=5.1.1, stat=User unknown")
    [found] = read(SendmailImporter(), text)
    assert set(recipients(found).values()) == {"unknown"}


@pytest.mark.parametrize(
    ("reply", "ending", "verdict"),
    [
        ("550 5.7.1 Spam detected", Ending.REFUSED, Verdict.SPAM),
        ("451 4.7.1 Try again later", Ending.DEFERRED, Verdict.NONE),
    ],
)
def test_a_milter_that_refuses_the_content(reply, ending, verdict):
    text = f"Feb 22 09:10:00 mx sm-mta[201]: 01M910xY000201: Milter: data, reject={reply}\n"
    [found] = read(SendmailImporter(), text + ACCEPTED.strip().splitlines()[1])
    assert (found.ending, found.verdict) == (ending, verdict)


def test_users_and_local_programs_are_trusted():
    login = (
        "Feb 22 09:10:00 mx sm-mta[201]: AUTH=server, relay=mail.example.org [192.0.2.2],"
        " authid=jo, mech=PLAIN, bits=0"
    )
    [found] = read(SendmailImporter(), f"{login}\n{ACCEPTED.strip()}")
    assert found.user == "jo"
    text = ACCEPTED.replace("mail.example.org [192.0.2.2]", "localhost [127.0.0.1]")
    [found] = read(SendmailImporter(), text)
    assert found.is_trusted


def test_lines_of_other_programs_are_not_read():
    assert read(SendmailImporter(), ACCEPTED.replace("sm-mta", "dovecot")) == []


def test_open_transactions_are_bounded():
    line = REFUSED.strip().splitlines()[0]
    importer = SendmailImporter(2)
    read(importer, "\n".join(line.replace("01M900xY", f"01M90{at}xY") for at in range(5)))
    assert importer.dropped == 3


def test_a_huge_line_costs_no_more_than_its_length():
    start = "Feb 22 09:10:00 mx sm-mta[201]: 01M910xY000201: "
    pieces = [
        "from=a, size=1, ",
        "to=<a>, ",
        "to=a, ctladdr=",
        "a@",
        "<a@b>... ",
        "ruleset=check_rcpt, arg1=",
    ]
    dull(SendmailImporter, start, [*pieces, "Milter: ", "relay=a [", ", relay="])


test_any_lines_are_read_without_an_error = survives(SendmailImporter, REFUSED + ACCEPTED)
