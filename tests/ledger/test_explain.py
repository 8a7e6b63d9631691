"""Stories: which records belong together, and what is written about them."""

import msgspec
import pytest
from tests.ledger.mail_records import (
    ACCEPTED,
    CROWDED,
    DELIVERED,
    GOOD,
    GREYLISTED,
    RECORDS,
    RETRIED,
    SPOILED,
    SPOILED_CONNECTION,
    ZONE,
)

from gatepost.ledger.records import Answer, Connection, PluginResult, RecipientRecord, Transaction
from gatepost.ledger.words.explain import MAX_SHOWN, explain
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.story import outcome, stories, story_of


def explained(ref, *records, width=80):
    story = story_of(ref, records)
    return "\n".join(plain(line).rstrip() for line in explain(story, width, ZONE))


def flat(ref, *records):
    return " ".join(explained(ref, *records).split())


def test_records_are_grouped_by_message_and_a_connection_belongs_to_its_message():
    found = stories(RECORDS)
    assert [one.ref for one in found] == [
        "ebebdad2-1.1",
        "ebebdad2-2.1",
        "ebebdad2-3.1",
        "ebebdad2-4",
    ]
    assert found[0].records == [SPOILED_CONNECTION, SPOILED]
    assert found[2].records == [ACCEPTED, RETRIED, DELIVERED]


def test_the_reference_of_a_connection_stands_for_its_only_message():
    assert story_of("ebebdad2-1", RECORDS).ref == "ebebdad2-1.1"


def test_the_reference_of_a_connection_with_two_messages_lists_them():
    second = Transaction(SPOILED.time + 1, "ebebdad2-1.2", "ebebdad2-1", SPOILED.client, "")
    text = explained("ebebdad2-1", SPOILED, second, SPOILED_CONNECTION)
    assert text.startswith("The connection had 2 transactions.")
    assert "refused     ebebdad2-1.1 Sun 29 Nov 2026 09:00:00 +0100 from" in text
    assert "abandoned   ebebdad2-1.2" in text


def test_a_reference_without_records_has_no_story():
    assert story_of("ebebdad2-9", RECORDS) is None


def test_a_trap_is_explained_with_its_entry_list_line_and_note():
    text = flat("ebebdad2-1.1", SPOILED, SPOILED_CONNECTION)
    assert text.startswith("The message was refused. Reference ebebdad2-1.1")
    assert "Decided by the core at data Reason trap" in text
    assert "entry trap@example.com in verybadrcptto, line 12, note: contact page" in text
    assert "Reply to the client 554 5.7.1 Message refused by local policy [ebebdad2-1.1]" in text
    assert "Setting traps.lists, traps.action" in text
    assert "gatepost traps remove trap@example.com" in text


def test_who_and_what_and_when_is_shown_in_the_zone():
    text = explained("ebebdad2-3.1", ACCEPTED, DELIVERED)
    for line in (
        "When        Sun 29 Nov 2026 09:02:00 +0100, took 250 ms",
        "Client      192.0.2.7 port 40412",
        "TLS         TLSv1.3",
        "From        <alice@example.org>",
        "To          <bob@example.com>",
        "Size        3.0 KiB",
        "Subject     Invoice 42",
        "Message-ID  <1234@mail.example.org>",
    ):
        assert line in text


def test_deliveries_are_shown_to_the_end():
    text = flat("ebebdad2-3.1", ACCEPTED, DELIVERED, RETRIED)
    first = text.index("deferred Sun 29 Nov 2026 09:02:01 +0100 lmtp://127.0.0.1:24")
    last = text.index("delivered Sun 29 Nov 2026 09:03:01 +0100 lmtp://127.0.0.1:24")
    assert first < last
    assert "250 2.0.0 Saved" in text


def test_a_plugin_is_named_with_its_reason_and_time():
    text = flat("ebebdad2-2.1", GREYLISTED)
    assert "Decided by the plugin greylist at rcpt, about bob@example.com" in text
    assert "the plugin greylist deferred bob@example.com, greylisted, 4.1 ms, 451 4.7.1" in text
    assert "The options of the plugin greylist decide" in text


def test_results_of_plugins_are_listed_with_their_points():
    found = [
        PluginResult("spf", "fail", 5.0, "-all of x.example", {"mailfrom": "a@x.example"}),
        PluginResult("dnswl", "pass", -2.0),
    ]
    text = flat("ebebdad2-3.1", msgspec.structs.replace(ACCEPTED, results=found, score=3.0))
    assert "Score 3 spf fail, +5 points, -all of x.example, mailfrom=a@x.example" in text
    assert "dnswl pass, -2 points" in text


def test_a_connection_over_a_limit_names_the_limit():
    text = flat("ebebdad2-4", CROWDED)
    assert text.startswith("The client exceeded limits.connections_per_ip.")
    assert "add the network to limits.exempt" in text


def test_a_transaction_without_an_accepted_recipient_has_the_reasons_of_all():
    refusals = [
        Answer("rcpt", "gatepost", "deny", "unknown-recipient", "550 5.1.1 No", "x@example.com"),
        Answer("rcpt", "gatepost", "deny", "relay-denied", "550 5.7.1 No", "y@example.net"),
        Answer("rcpt", "spam", "deny", "listed", "550 5.7.1 No", shadow=True),
    ]
    refused = [RecipientRecord(one, "refused") for one in ("x@example.com", "y@example.net")]
    tx = Transaction(0, "s-1.1", "s-1", GOOD, "a@example.org", recipients=refused, answers=refusals)
    text = flat("s-1.1", tx)
    assert text.startswith("No recipient was accepted")
    assert "recipients.known" in text
    assert "recipients.domains" in text
    assert "the plugin spam would have refused" in text
    assert "The plugin spam decided" not in text


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (["refused", "refused"], "refused"),
        (["refused", "deferred"], "deferred"),
        (["refused", "abandoned"], "abandoned"),
        ([], "abandoned"),
    ],
)
def test_the_outcome_of_an_abandoned_transaction_is_that_of_its_recipients(results, expected):
    recipients = [RecipientRecord("a@example.com", one) for one in results]
    tx = Transaction(0, "s-1.1", "s-1", GOOD, "a@example.org", recipients=recipients)
    assert outcome(tx) == expected
    title = "No recipient was accepted" if expected != "abandoned" else "The client ended"
    assert flat("s-1.1", tx).startswith(title)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("lost", "The client closed the connection without QUIT."),
        ("command_timeout", "The client exceeded limits.command_timeout."),
        ("a new end", "The connection ended."),
    ],
)
def test_a_transaction_that_ended_early_has_the_end_of_its_connection(end, expected):
    tx = Transaction(0, "s-1.1", "s-1", GOOD, "a@example.org")
    connection = Connection(0, "s-1", GOOD, end=end, transactions=1)
    text = flat("s-1.1", tx, connection)
    assert text.startswith("The client ended the transaction before it had sent a message.")
    assert f"Meaning {expected}" in text


def test_a_refusal_without_an_opinion_has_the_problem_of_the_delivery():
    tx = Transaction(
        0,
        "s-1.1",
        "s-1",
        GOOD,
        "a@example.org",
        "deferred",
        reply="451 4.3.0 The message could not be stored\n451 4.3.0 Later [s-1.1]",
        problem="No space left on device",
    )
    text = explained("s-1.1", tx)
    assert "Problem     No space left on device" in text
    assert "            451 4.3.0 The message could not be stored\n            451 4.3.0 L" in text


def test_an_old_message_can_have_only_deliveries():
    assert flat("ebebdad2-3.1", DELIVERED).startswith("The message was accepted earlier")


def test_long_lists_are_capped():
    recipients = [RecipientRecord(f"u{number}@example.com") for number in range(50)]
    tx = Transaction(
        0, "s-1.1", "s-1", GOOD, "", "accepted", recipients=recipients, recipients_count=70
    )
    text = explained("s-1.1", tx)
    assert f"and {50 - MAX_SHOWN} more recipients" in text
    assert "and 20 not recorded" in text
    assert "and 67 more" in text


@pytest.mark.parametrize("width", [1, 40, 80, 100])
def test_no_line_is_longer_than_the_terminal(width):
    longest = max(map(len, explained("ebebdad2-1.1", *RECORDS, width=width).splitlines()))
    assert longest <= max(width, 32)


def test_a_message_that_shadow_mode_let_pass_names_the_plugins():
    shadow = Answer("rcpt", "greylist", "defer", "new", shadow=True)
    text = flat(ACCEPTED.ref, msgspec.structs.replace(ACCEPTED, answers=[shadow]))
    assert (
        "Plugins in shadow mode would have refused, deferred or held it: greylist. No other" in text
    )
    assert 'Remove action = "log" from the [[plugin]] of: greylist.' in text
    assert "No rule and no plugin objected." not in text


ENTRY = "192.0.2.0/24 until 2026-12-31 09:00 UTC by alice: ticket 12"


def test_a_message_that_an_entry_allowed_names_the_entry_and_the_plugins():
    answers = [
        Answer("mail", "dnsbl", "deny", "listed", shadow=True, allowed=ENTRY),
        Answer("rcpt", "greylist", "defer", "new", shadow=True, allowed=ENTRY),
    ]
    text = flat(ACCEPTED.ref, msgspec.structs.replace(ACCEPTED, answers=answers))
    assert (
        f"Allowed: {ENTRY}. Otherwise it would have been refused, deferred or held by the plugin"
        " dnsbl, the plugin greylist."
    ) in text
    assert f"the plugin dnsbl would have refused, listed, allowed: {ENTRY}" in text
    assert "gatepost allow remove 192.0.2.0/24" in text
    assert "shadow mode" not in text


def test_entries_and_shadow_mode_are_both_named():
    answers = [
        Answer("mail", "dnsbl", "deny", "listed", shadow=True, allowed=ENTRY),
        Answer("rcpt", "greylist", "defer", "new", shadow=True),
    ]
    text = flat(ACCEPTED.ref, msgspec.structs.replace(ACCEPTED, answers=answers))
    assert f"Allowed: {ENTRY}." in text
    assert "Plugins in shadow mode would have refused, deferred or held it: greylist." in text


def test_of_many_plugins_in_shadow_mode_some_are_named():
    answers = [Answer("rcpt", f"p{n}", "deny", "", shadow=True) for n in range(9)]
    text = flat(ACCEPTED.ref, msgspec.structs.replace(ACCEPTED, answers=answers))
    assert "held it: p0, p1, p2 and others." in text


def test_a_long_name_has_a_line_of_its_own():
    results = [PluginResult("sender_domain", "pass", facts={"domain": "a.example", "empty": ""})]
    lines = explained(ACCEPTED.ref, msgspec.structs.replace(ACCEPTED, results=results)).splitlines()
    at = lines.index("sender_domain")
    assert lines[at + 1] == " " * 12 + "pass, domain=a.example"


def test_a_held_message_was_not_delivered():
    held = Answer("deliver", "gatepost", "accept", "quarantined")
    text = flat(ACCEPTED.ref, msgspec.structs.replace(ACCEPTED, answers=[held]))
    assert text.startswith("The message was accepted and held in the queue")
    assert "A plugin put the message into quarantine" in text
    assert "No rule and no plugin objected." not in text


def test_an_address_that_plugins_have_replaced_is_explained():
    record = msgspec.structs.replace(ACCEPTED, replaced=["team@example.com"])
    assert "replaced <team@example.com>" in flat(ACCEPTED.ref, record)
