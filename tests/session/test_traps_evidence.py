"""Hits that prove nothing about the sender: bounces, automatic answers, mistakes of a person."""

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.model.decision import deny
from gatepost.testing import play

AUTOMATIC = "Auto-Submitted: auto-replied"
IDENTIFIER = "20110601093015.ga12345@example.com"
LEARNED = ["hidden-page@example.com class=learned"]
CELL = {"table": {"pristine": {"stranger": "none"}}}


def known(**traps):
    recipients = {"domains": ["example.com"], "known": ["one@example.com"]}
    return config(recipients=recipients, traps={"message_ids": "armed"} | traps)


def rcpt(*addresses, reply=250):
    return "".join(f"C: RCPT TO:<{one}>\nS: {reply}\n" for one in addresses)


def hits(transcript, *, sender="sender@client.example", plugins=(), **options):
    """Play a transaction; return its hits as plugins see them at its end."""
    found = []
    keeper = plugin(
        name="keeper",
        on_reset=lambda tx: found.extend(tx.trap_hits),
        on_delivered=lambda tx: found.extend(tx.trap_hits),
    )
    mail = f"C: MAIL FROM:<{sender}>\nS: 250\n"
    played = play(OPEN + mail + transcript, [*plugins, keeper], **options)
    return found, played.messages


def content(*fields, reply):
    lines = "".join(f"C: {one}\n" for one in fields)
    return f"C: DATA\nS: 354\n{lines}C:\nC: text\nC: .\nS: {reply}\n"


@pytest.mark.parametrize("address", ["hidden-page@example.com", IDENTIFIER])
@pytest.mark.parametrize(
    ("field", "is_evidence"),
    [(AUTOMATIC, False), ("Subject: hello", True), ("Auto-Submitted: no", True)],
)
def test_an_automatic_answer_is_no_evidence(address, field, is_evidence):
    [hit], messages = hits(
        rcpt(address) + content(field, reply=REFUSED), traps=LEARNED, config=known(verdict="end")
    )
    assert hit.is_evidence is is_evidence
    assert messages == []


def test_in_shadow_mode_an_automatic_answer_is_no_evidence():
    [hit], messages = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=250),
        traps=["hidden-page@example.com"],
        config=config(traps={"action": "shadow"}),
    )
    assert (hit.is_evidence, len(messages)) == (False, 1)


@pytest.mark.parametrize("others", [rcpt("one@example.com"), rcpt("x@other.example", reply=550)])
def test_a_message_to_several_recipients_is_no_automatic_answer(others):
    [hit], _ = hits(
        others + rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=REFUSED),
        traps=LEARNED,
        config=known(verdict="end"),
    )
    assert hit.is_evidence


def test_a_recipient_that_a_plugin_adds_does_not_count():
    copier = plugin(on_data=lambda tx: tx.add_recipient("journal@example.com") and None)
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=REFUSED),
        plugins=[copier],
        traps=LEARNED,
        config=known(verdict="end"),
    )
    assert not hit.is_evidence


def test_the_content_of_a_message_that_a_plugin_refuses_is_judged_too():
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=554),
        plugins=[plugin(on_headers=lambda *_: deny("no"))],
        traps=LEARNED,
        config=known(verdict="end"),
    )
    assert not hit.is_evidence


def test_a_header_block_that_is_too_long_is_not_judged():
    filler = [f"X-{at}: {'x' * 900}" for at in range(1200)]
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content(*filler, AUTOMATIC, reply=REFUSED),
        traps=LEARNED,
        config=known(verdict="end"),
    )
    assert hit.is_evidence


def test_a_learned_trap_that_may_exist_is_no_evidence():
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content("Subject: x", reply=250),
        traps=LEARNED,
        config=config(),
    )
    assert not hit.is_evidence


@pytest.mark.parametrize("traps", [{"trusted": ["192.0.2.0/24"]}, CELL])
def test_a_trusted_sender_and_a_treatment_of_none_are_no_evidence(traps):
    [hit], _ = hits(
        "C: RCPT TO:<hidden-page@example.com>\nS: *\n",
        traps=["hidden-page@example.com"],
        config=config(traps=traps),
    )
    assert not hit.is_evidence


@pytest.mark.parametrize(
    ("entry", "sender", "is_evidence"),
    [
        ("hidden-page@example.com", "a@client.example", True),
        ("hidden-page@example.com class=seeded", "a@client.example", True),
        ("hidden-page@example.com class=message-id", "a@client.example", True),
        ("hidden-page@example.com class=recycled", "a@client.example", False),
        ("hidden-page@example.com class=typo", "a@client.example", False),
        ("/^hidden/ class=seeded", "", False),
        ("hidden-page@example.com", "mailer-daemon@client.example", False),
        ("hidden-page@example.com", "Bounce@client.example", False),
        ("hidden-page@example.com", "bounces-1@client.example", True),
        ("hidden-page@example.com class=learned", "bounces-1@client.example", False),
    ],
)
def test_evidence_depends_on_the_class_and_the_sender(entry, sender, is_evidence):
    [hit], _ = hits(
        "C: RCPT TO:<hidden-page@example.com>\nS: *\n",
        sender=sender,
        traps=[entry],
        config=config(),
    )
    assert hit.is_evidence is is_evidence


@pytest.mark.parametrize(("words", "is_evidence"), [("class=seeded", False), ("", True)])
def test_a_trap_that_any_person_can_guess_is_no_evidence(words, is_evidence):
    [hit], _ = hits(
        "C: RCPT TO:<info@example.com>\nS: *\n",
        traps=[f"info@example.com {words}"],
        config=config(),
    )
    assert hit.is_evidence is is_evidence
