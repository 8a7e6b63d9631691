"""Hits that prove nothing about the sender: bounces, automatic answers, mistakes of a person."""

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.model.decision import accept, deny
from gatepost.testing import play

AUTOMATIC = "Auto-Submitted: auto-replied"
IDENTIFIER = "20110601093015.ga12345@example.com"
LEARNED = ["hidden-page@example.com class=learned"]


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


def test_an_automatic_answer_to_a_learned_trap_passes_and_is_no_evidence():
    [hit], messages = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=250),
        traps=LEARNED,
        config=config(),
    )
    assert (hit.treatment, hit.is_evidence) == ("none", False)
    assert len(messages) == 1


@pytest.mark.parametrize("field", ["Subject: hello", "Auto-Submitted: no"])
def test_other_mail_to_a_learned_trap_is_refused_after_the_content(field):
    [hit], messages = hits(
        rcpt("hidden-page@example.com") + content(field, reply=REFUSED),
        traps=LEARNED,
        config=config(),
    )
    assert (hit.treatment, hit.is_evidence) == ("refuse all after the content", True)
    assert messages == []


@pytest.mark.parametrize("others", [rcpt("one@example.com"), rcpt("x@other.example", reply=550)])
def test_a_message_to_several_recipients_is_no_automatic_answer(others):
    [hit], _ = hits(
        others + rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=REFUSED),
        traps=LEARNED,
        config=config(),
    )
    assert hit.is_evidence


def test_a_recipient_that_a_plugin_adds_does_not_count():
    copier = plugin(on_data=lambda tx: tx.add_recipient("journal@example.com") and None)
    _, messages = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=250),
        plugins=[copier],
        traps=LEARNED,
        config=config(),
    )
    assert len(messages) == 1


@pytest.mark.parametrize("address", ["hidden-page@example.com", IDENTIFIER])
def test_an_automatic_answer_to_a_trap_that_is_no_user_is_refused_as_no_evidence(address):
    known = {"domains": ["example.com"], "known": ["one@example.com"]}
    [hit], messages = hits(
        rcpt(address) + content(AUTOMATIC, reply=REFUSED),
        traps=LEARNED,
        config=config(recipients=known, traps={"message_ids": "armed", "verdict": "end"}),
    )
    assert (hit.is_evidence, hit.is_no_user) == (False, True)
    assert messages == []


@pytest.mark.parametrize("answer", [accept(), None])
def test_a_trap_of_a_list_refuses_an_automatic_answer_and_is_no_evidence(answer):
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=REFUSED),
        plugins=[plugin(on_rcpt=lambda *_: answer)],
        traps=["hidden-page@example.com"],
        config=config(traps={"verdict": "end"}),
    )
    assert not hit.is_evidence


def test_the_content_of_a_message_that_a_plugin_refuses_is_judged_too():
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content(AUTOMATIC, reply=554),
        plugins=[plugin(on_headers=lambda *_: deny("no"))],
        traps=LEARNED,
        config=config(),
    )
    assert not hit.is_evidence


def test_a_header_block_that_is_too_long_is_not_judged():
    filler = [f"X-{at}: {'x' * 900}" for at in range(1200)]
    [hit], _ = hits(
        rcpt("hidden-page@example.com") + content(*filler, AUTOMATIC, reply=REFUSED),
        traps=LEARNED,
        config=config(),
    )
    assert hit.is_evidence


@pytest.mark.parametrize(
    ("entry", "sender", "is_evidence"),
    [
        ("hidden-page@example.com", "a@client.example", True),
        ("hidden-page@example.com class=seeded", "a@client.example", True),
        ("hidden-page@example.com class=learned", "a@client.example", True),
        ("hidden-page@example.com class=recycled", "a@client.example", False),
        ("hidden-page@example.com class=typo", "a@client.example", False),
        ("/^hidden/ class=seeded", "", False),
        ("hidden-page@example.com", "mailer-daemon@client.example", False),
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
