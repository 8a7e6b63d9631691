"""The addresses that users have written to, from logs of all formats."""

import pytest
from tests.importers.read import read, sample

from gatepost.checks.correspondents import Collector
from gatepost.importers.registry import FORMATS
from gatepost.importers.transaction import Ending, Status, Transaction


def collector(**options):
    return Collector(lambda domain: domain == "example.com", **options)


@pytest.mark.parametrize("name", FORMATS)
def test_the_recipients_of_a_user_are_read_from_every_log(name):
    found = collector()
    for one in read(FORMATS[name](), sample(f"{name}-sent")):
        found.see(one)
    assert list(found.times) == ["sent bob@example.org"]
    assert found.times["sent bob@example.org"] == pytest.approx(1582362002, abs=2000)
    assert found.totals.messages == 1


def message(sender="ann@example.com", *recipients, time=100.0, ending=Ending.ACCEPTED, **more):
    made = Transaction(time, sender=sender, user="ann", ending=ending, **more)
    for one in recipients or ("bob@example.org",):
        made.add(one, Status.ACCEPTED)
    return made


def seen(*messages, **options):
    found = collector(**options)
    for one in messages:
        found.see(one)
    return found


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "MAILER-DAEMON@example.com",
        "SRS0=hash=tt=client.example=user@example.com",
        "list-return-7-user=client.example@example.com",
        "list-bounces@example.com",
        "bounce-7@example.com",
        "no-reply-shop@example.com",
    ],
)
def test_senders_of_programs_are_left_out(sender):
    found = seen(message(sender))
    assert (found.times, found.totals.automatic, found.totals.messages) == ({}, 1, 0)


@pytest.mark.parametrize("sender", ["ann+work@example.com", "prvs=1234567890=ann@example.com"])
def test_tagged_senders_are_users(sender):
    assert seen(message(sender)).totals.messages == 1


def test_mail_of_other_domains_that_is_forwarded_is_left_out():
    found = seen(message("stranger@client.example"))
    assert (found.times, found.totals.foreign_sender) == ({}, 1)


def test_mail_from_outside_is_left_out():
    assert seen(Transaction(1.0, client="192.0.2.1", sender="ann@example.com")).totals.messages == 0


@pytest.mark.parametrize("ending", [Ending.REFUSED, Ending.DEFERRED, Ending.ABANDONED])
def test_a_message_that_was_not_accepted_is_left_out(ending):
    assert seen(message(ending=ending)).times == {}


def test_recipients_that_got_nothing_and_own_ones_are_left_out():
    one = message("ann@example.com", "carl@example.com", "no address")
    one.add("gone@example.org", Status.UNKNOWN)
    found = seen(one)
    assert found.times == {}
    assert (found.totals.not_delivered, found.totals.unreadable) == (1, 1)


def test_the_last_message_counts():
    found = seen(message(time=200.0), message(time=100.0))
    assert found.times == {"sent bob@example.org": 200.0}


def test_the_newest_addresses_are_kept():
    found = seen(*(message("ann@example.com", f"b{at}@example.org") for at in range(5)), most=3)
    assert list(found.times) == [f"sent b{at}@example.org" for at in (2, 3, 4)]
    assert found.totals.dropped == 2


def test_own_senders_that_look_like_message_identifiers_are_reported():
    sender = "20110601093015.ga12345@example.com"
    found = seen(message(sender), message(sender), message())
    assert found.totals.identifiers == [sender]
