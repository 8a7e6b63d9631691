"""The hashes of records: those of their keys, without duplicates."""

from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.ledger.made import connection, transaction
from tests.ledger.mail_records import ANY_RECORD

from gatepost.ledger import hashes
from gatepost.ledger.extract import converted
from gatepost.ledger.hashes import hash_of, hashes_of, mailbox_of
from gatepost.ledger.keys import MAX_KEYS, key_text, keys_of
from gatepost.ledger.records import Client, RecipientRecord, Trap
from gatepost.ledger.selection import Key, KeyKind


@given(ANY_RECORD)
def test_a_record_has_the_hash_of_each_of_its_keys(record):
    found = hashes_of(converted(record))
    expected = {hash_of(Key(*text.split(":", 1))) for text in keys_of(record)}
    assert len(found) == len(set(found))
    assert set(found) >= expected
    assert len(set(found)) <= len(keys_of(record))


# Texts of clients, with what the canonical forms remove or change.
_TEXT = st.text() | st.text('<>@ ."[]\r\ta\u1e9eA1:/%')


@pytest.mark.parametrize("kind", get_args(KeyKind))
@given(text=_TEXT)
@example(text="\r")
@example(text="..")
@example(text="@@a")
@example(text="< <a> >")
def test_the_canonical_form_of_a_key_has_itself_as_canonical_form(kind, text):
    canonical = key_text(Key(kind, text))
    assert key_text(Key(*canonical.split(":", 1))) == canonical


@pytest.mark.parametrize("count", [1, 2, 60])
def test_recipients_of_one_domain_share_the_hash_of_the_domain(count):
    addresses = [f"user{number}@client.example" for number in range(count)]
    record = transaction(
        1,
        recipients=[RecipientRecord(one) for one in addresses],
        traps=[Trap(addresses[0], addresses[0], "traps", 1)],
    )
    # The reference, the message ID, the client, its network, the domain, the sender.
    assert len(hashes_of(converted(record))) == 6 + count


def test_a_record_has_a_limited_number_of_hashes():
    recipients = [RecipientRecord(f"a@{number}.example") for number in range(MAX_KEYS)]
    assert len(hashes_of(converted(transaction(1, recipients=recipients)))) == MAX_KEYS


def test_a_client_without_an_address_has_no_hash():
    assert len(hashes_of(converted(connection(1, client=Client(""))))) == 1


def test_a_full_cache_is_emptied(monkeypatch):
    monkeypatch.setattr(hashes, "_CACHED", 10)
    monkeypatch.setattr(hashes, "_mailboxes", cache := {})
    for number in range(100):
        assert mailbox_of(f"a{number}@B.example").address == f"a{number}@b.example"
        assert len(cache) <= 10
