import pytest

from gatepost.importers.replies import is_about_content, is_temporary, status_of
from gatepost.importers.transaction import Status


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 <a@example.com>: Recipient address rejected: User unknown in virtual table",
        "550 unknown user",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
        "Unrouteable address",
        "Previous (cached) callout verification failure",
        "550 no mailbox here by that name (#5.1.1)",
        "550 5.1.1 unknown relay",  # the enhanced code decides
        "550 <a@example.com> Mailbox does not exist",
        "not existing recipient",
        "User unknown",
    ],
)
def test_a_mailbox_is_unknown(reply):
    assert status_of(reply) is Status.UNKNOWN


@pytest.mark.parametrize(
    "reply",
    [
        "554 5.7.1 <a@example.com>: Relay access denied",
        "550 5.7.1 <unknown>: Helo command rejected: Host not found",
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using dnsbl.example",
        "550 5.1.8 <s@example.net>: Sender address rejected: user unknown",
        "SPF check failed.",
        "550 5.7.26 unauthenticated",
        "relay not permitted",
        "",
    ],
)
def test_a_recipient_is_refused_for_another_reason(reply):
    assert status_of(reply) is Status.REFUSED


@pytest.mark.parametrize(
    "reply", ["450 4.2.0 Greylisted", "451 User unknown", "4.7.1 try again", "greylisted", "421 x"]
)
def test_a_refusal_is_temporary(reply):
    assert is_temporary(reply)
    assert status_of(reply) is Status.DEFERRED


def test_a_permanent_code_wins_against_words():
    assert not is_temporary("550 temporary address")


@pytest.mark.parametrize("reply", ["554 5.7.1 Spam message rejected", "virus found", "content"])
def test_a_content_filter_refused(reply):
    assert is_about_content(reply)


def test_another_reason_is_no_content_filter():
    assert not is_about_content("550 5.1.1 User unknown")
