"""Exim's lines (in `logs`), written for these tests in the formats of its specification."""

import pytest
from tests.importers.read import dull, read, recipients, sample, survives

from gatepost.importers.exim import EximImporter
from gatepost.importers.transaction import Ending, Verdict

REFUSED = sample("exim-refused")

ACCEPTED = sample("exim-accepted")

SCANNED = sample("exim-scanned")


def test_refused_recipients_of_a_client_and_a_sender_are_one_transaction():
    [found] = read(EximImporter(), REFUSED)
    assert recipients(found) == {
        "a@example.com": "unknown",
        "b@example.com": "refused",
        "c@example.com": "deferred",
    }
    assert (found.client, found.helo, found.sender) == ("192.0.2.1", "[192.0.2.9]", "s@example.net")
    assert found.ending is Ending.ABANDONED


def test_a_pause_ends_a_transaction():
    first, second, last = REFUSED.strip().splitlines()[:3]
    found = read(EximImporter(), "\n".join([first, second.replace("09:00:01", "09:02:01"), last]))
    assert [len(one.recipients) for one in found] == [1, 2]


def test_another_sender_is_another_transaction():
    found = read(EximImporter(), REFUSED.replace("F=<s@example.net> temp", "F=<> temp"))
    assert sorted(one.sender for one in found) == ["", "s@example.net"]


def test_an_accepted_message_has_its_recipients_from_the_deliveries():
    [found] = read(EximImporter(), ACCEPTED)
    assert recipients(found) == {"a@example.com": "accepted", "b@example.com": "accepted"}
    assert (found.ending, found.size, found.has_tls) == (Ending.ACCEPTED, 2345, True)
    assert (found.name, found.helo) == ("mail.example.org", "helo.example.org")
    assert (found.dkim, found.message_id) == (["example.org"], "<m1@example.org>")
    assert not found.is_trusted


def test_the_new_identifiers_are_read():
    text = ACCEPTED.replace("1j5PqR-0001Ab-Cd", "1rZfYo-00000004Kxz-1AbC")
    assert len(read(EximImporter(), text)) == 1


def test_received_recipients_are_in_the_first_line():
    text = ACCEPTED.strip().splitlines()[2] + " for a@example.com b=c@example.com"
    [found] = read(EximImporter(), text)
    assert recipients(found) == {"a@example.com": "accepted", "b=c@example.com": "accepted"}


def test_the_lines_of_sa_exim_have_recipients_and_verdicts():
    clean, spam = read(EximImporter(), SCANNED)
    assert (clean.verdict, clean.score, clean.ending) == (Verdict.CLEAN, 4.2, Ending.ACCEPTED)
    assert recipients(clean) == {"a@example.com": "accepted", "b@example.com": "accepted"}
    assert (spam.verdict, spam.score, spam.ending) == (Verdict.SPAM, 18.8, Ending.REFUSED)
    assert (spam.client, spam.sender) == ("192.0.2.3", "t@example.net")


@pytest.mark.parametrize(
    ("reason", "ending", "verdict"),
    [
        ("rejected after DATA: This message contains a virus", Ending.REFUSED, Verdict.SPAM),
        ("rejected after DATA: no such header", Ending.REFUSED, Verdict.NONE),
        ("temporarily rejected after DATA", Ending.DEFERRED, Verdict.NONE),
    ],
)
def test_a_refusal_after_the_content(reason, ending, verdict):
    line = "2020-02-22 09:10:00 1j5PqR-0001Ab-Cd H=h.example [192.0.2.2] F=<jo@example.org> "
    [found] = read(EximImporter(), line + reason)
    assert (found.ending, found.verdict, found.sender) == (ending, verdict, "jo@example.org")


def test_users_and_local_programs_are_trusted():
    user = ACCEPTED.replace("P=esmtps", "P=esmtpsa A=plain_login:jo")
    assert [one.user for one in read(EximImporter(), user)] == ["jo"]
    local = "2020-02-22 09:10:00 1j5PqR-0001Ab-Cd <= root@mx U=root P=local S=345"
    assert [one.is_local for one in read(EximImporter(), local)] == [True]


def test_a_process_and_a_zone_in_the_line_are_read():
    text = "\n".join(
        line.replace(" H=", " +0100 [812] H=", 1) for line in REFUSED.strip().splitlines()[:3]
    )
    [found] = read(EximImporter(), text)
    assert len(found.recipients) == 3


def test_syslog_is_read():
    text = "\n".join(
        f"Feb 22 09:00:00 mx exim[812]: {line}" for line in REFUSED.strip().splitlines()
    )
    [found] = read(EximImporter(), text)
    assert len(found.recipients) == 3


def test_the_senders_of_a_client_are_bounded():
    line = REFUSED.strip().splitlines()[0]
    text = "\n".join(line.replace("<s@", f"<s{at}@") for at in range(150))
    importer = EximImporter()
    assert len(read(importer, text)) == 150


def test_a_message_that_never_arrived_is_no_transaction():
    assert read(EximImporter(), ACCEPTED.strip().splitlines()[0]) == []


def test_open_messages_are_bounded():
    line = ACCEPTED.strip().splitlines()[2]
    importer = EximImporter(2)
    text = "\n".join(line.replace("1j5PqR", f"1j5Pq{at}") for at in range(5))
    assert len(read(importer, text)) == 2
    assert importer.dropped == 3


@pytest.mark.parametrize("start", ["", "1j5PqR-0001Ab-Cd ", "H=", "1j5PqR-0001Ab-Cd SA: Action: "])
def test_a_huge_line_costs_no_more_than_its_length(start):
    pieces = [
        "H=(",
        "H=a (b) [c] F=<d> ",
        " F=<",
        " for a@b",
        "rejected RCPT ",
        ". From <",
        "[",
        "<",
    ]
    dull(EximImporter, f"2020-02-22 09:10:00 {start}", pieces)


def test_a_pause_ends_a_transaction_of_a_client_that_sends_with_another_name():
    first, second = REFUSED.strip().splitlines()[:2]
    other = first.replace("F=<s@", "F=<t@").replace("09:00:00", "09:01:30")
    late = second.replace("09:00:01", "09:02:30")
    found = read(EximImporter(), f"{first}\n{other}\n{late}")
    assert [one.sender for one in found] == ["s@example.net", "t@example.net", "s@example.net"]


def test_a_delivery_to_a_local_name_has_the_address_before_the_name():
    text = ACCEPTED.replace("=> box <a@example.com>", "=> a@example.com <a>")
    [found] = read(EximImporter(), text)
    assert "a@example.com" in found.recipients


def test_addresses_without_brackets_are_read():
    text = (
        "2020-02-22 09:00:00 [9] H=(x) [192.0.2.1]:9 I=[192.0.2.25]:25 F=s@example.net"
        " rejected RCPT a@example.com: Unknown user"
    )
    [found] = read(EximImporter(), text)
    assert (found.sender, recipients(found)) == ("s@example.net", {"a@example.com": "unknown"})


test_any_lines_are_read_without_an_error = survives(EximImporter, REFUSED + ACCEPTED + SCANNED)


def test_a_recipient_that_bounced_as_unknown_was_not_accepted():
    [found] = read(EximImporter(), sample("exim-sent"))
    assert recipients(found) == {"Bob@Example.org": "accepted", "gone@example.org": "unknown"}
