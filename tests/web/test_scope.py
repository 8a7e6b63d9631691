"""The parts of records that a user with some domains sees."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.mail_records import ANY_RECORD, RECORDS, TEXTS, TRANSACTIONS
from tests.web.made import accepted, refused, trapped

from gatepost.ledger.keys import canonical_address, domain_of
from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    Gap,
    Notice,
    RecipientRecord,
    Transaction,
    encode,
)
from gatepost.web.scope import HIDDEN, Scope

OURS = Scope(frozenset({"example.com"}))


def test_without_domains_everything_is_visible():
    assert [Scope().visible(one) for one in RECORDS] == list(RECORDS)


def test_a_message_to_a_recipient_in_the_domains_is_visible():
    record = accepted(1, "alice@Example.COM")
    assert OURS.visible(record) == record


def test_a_message_of_a_sender_in_the_domains_is_visible_with_all_recipients():
    record = accepted(1, "x@other.example", "me@example.com")
    assert OURS.visible(record) == record


def test_a_message_of_others_is_not_visible():
    assert OURS.visible(accepted(1, "x@other.example")) is None
    assert OURS.visible(accepted(1, "x@sub.example.com")) is None
    assert OURS.visible(accepted(1, "x@example.com.other.example")) is None


def test_other_recipients_are_left_out_with_all_that_is_about_them():
    record = refused(
        1,
        recipients=[
            RecipientRecord("alice@example.com", "accepted", "250 Ok"),
            RecipientRecord("secret@other.example", "refused", "550 No secret@other.example"),
        ],
        recipients_count=2,
        refused_count=1,
        answers=[
            Answer("rcpt", "p", "deny", "x", "", "secret@other.example"),
            Answer("rcpt", "p", "accept", "", "", "alice@example.com"),
        ],
        reply="550 5.1.1 <Secret@Other.example> unknown",
        changes=["added boss@other.example"],
        next_hops={"mx.other.example": "250 Ok"},
        client=Client("192.0.2.1", user="boss@other.example", mechanism="PLAIN"),
    )
    found = OURS.visible(record)
    assert [one.address for one in found.recipients] == ["alice@example.com"]
    assert (found.recipients_count, found.refused_count) == (1, 0)
    assert [one.about for one in found.answers] == ["alice@example.com"]
    assert found.reply == f"550 5.1.1 <{HIDDEN}> unknown"
    assert b"other.example" not in encode(found)


def test_the_trap_of_another_domain_is_left_out():
    found = OURS.visible(trapped(1, "carol@example.com", "trap@other.example"))
    assert (found.traps, found.traps_count) == ([], 0)
    assert b"trap@other.example" not in encode(found)


def test_a_trap_in_the_domains_makes_a_message_visible():
    found = OURS.visible(trapped(1, "x@other.example", "trap@example.com"))
    assert [one.address for one in found.traps] == ["trap@example.com"]
    assert found.recipients == []


def test_an_address_in_the_domains_that_plugins_have_replaced_makes_a_message_visible():
    record = accepted(1, "x@other.example")
    record = msgspec.structs.replace(record, replaced=["team@example.com", "y@other.example"])
    found = OURS.visible(record)
    assert (found.replaced, found.recipients) == (["team@example.com"], [])
    assert b"x@other.example" not in encode(found)


def test_a_delivery_shows_its_recipients_in_the_domains():
    both = ["alice@example.com", "x@other.example"]
    found = OURS.visible(Delivery(1.0, "r", "hop", "deferred", both, 2, "450 x@other.example"))
    assert (found.recipients, found.recipients_count) == (["alice@example.com"], 1)
    assert found.reply == f"450 {HIDDEN}"
    assert OURS.visible(Delivery(1.0, "r", "hop", "delivered", ["x@other.example"], 1)) is None


def test_records_without_addresses_are_not_visible():
    client = Client("192.0.2.1")
    for record in (Connection(1.0, "r", client), Notice(1.0, "reloaded"), Gap(2.0, 1.0, 5)):
        assert OURS.visible(record) is None


def test_the_null_sender_is_in_no_domain():
    assert OURS.visible(accepted(1, "x@other.example", "")) is None


SECRET = "boss@secret.example"
# Addresses in the domain, of others, and any text.
ADDRESSES = st.sampled_from(["a@example.com", "b@Example.com.", SECRET]) | TEXTS
MIXED = st.builds(
    msgspec.structs.replace,
    TRANSACTIONS,
    sender=ADDRESSES,
    recipients=st.lists(st.builds(RecipientRecord, ADDRESSES, reply=ADDRESSES), max_size=4),
    answers=st.lists(st.builds(Answer, TEXTS, TEXTS, st.just("deny"), TEXTS, ADDRESSES, ADDRESSES)),
    reply=ADDRESSES,
    problem=ADDRESSES,
    changes=st.lists(ADDRESSES, max_size=2),
    replaced=st.lists(ADDRESSES, max_size=2),
)


@given(MIXED)
def test_no_text_of_a_visible_message_has_another_recipient(record):
    found = OURS.visible(record)
    is_hidden = any(one.address == SECRET for one in record.recipients)
    if found is not None and is_hidden and not OURS.has(record.sender):
        assert record.sender == SECRET or SECRET.encode() not in encode(found)


@given(ANY_RECORD, st.sampled_from(["example.com", "example.org", "client.example"]))
def test_what_is_visible_has_an_address_in_the_domains_and_no_hidden_one(record, domain):
    found = Scope(frozenset({domain})).visible(record)
    if found is None:
        return
    assert isinstance(found, Transaction | Delivery)
    if domain_of(canonical_address(found.sender)) == domain:
        assert found == record
        return
    shown = [getattr(one, "address", one) for one in found.recipients]
    shown += [one.address for one in getattr(found, "traps", ())]
    assert shown
    assert all(domain_of(canonical_address(one)) == domain for one in shown)
