"""The keys that a text names: a reference, a Message-ID, an address, a client, a network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.ledger.selection import Key
from gatepost.ledger.words.search import MAX_KEYS, SearchError, is_indexed, search_keys

REF = Key("ref", "ebebdad2-1a.1")


@pytest.mark.parametrize(
    "text",
    [
        "ebebdad2-1a.1",
        " [ebebdad2-1a.1]\n",
        "554 5.7.1 Message refused by local policy [ebebdad2-1a.1]",
        "554-5.7.1 Two lines\n554 5.7.1 Message refused [ebebdad2-1a.1]",
        "host mx.example.com[192.0.2.1] said: 554 5.7.1 Refused [ebebdad2-1a.1] (in reply to DATA)",
        "250 2.0.0 Ok, ebebdad2-1a.1",
        "by mx.example.com (Gatepost) with ESMTP id ebebdad2-1a.1; Sun, 29 Nov",
        '{"event":"refused","ref":"ebebdad2-1a.1","peer":"192.0.2.1:4711"}',
    ],
)
def test_a_reference_is_found_in_any_text(text):
    assert search_keys(text)[0] == REF


def test_the_reference_of_a_session_has_no_dot():
    assert search_keys("abc-1") == [Key("ref", "abc-1")]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a@example.org", [Key("address", "a@example.org"), Key("message_id", "a@example.org")]),
        ("<a@example.org>", [Key("message_id", "a@example.org"), Key("address", "a@example.org")]),
        ("<>", [Key("address", "<>")]),
        ("<no-at-sign>", [Key("message_id", "no-at-sign")]),
        ("A@Bücher.example", [Key("address", "a@xn--bcher-kva.example")]),
        ("@Example.org", [Key("domain", "example.org")]),
        ("example.org", [Key("domain", "example.org")]),
        ("192.0.2.1", [Key("ip", "192.0.2.1")]),
        ("[192.0.2.1]:4711", [Key("ip", "192.0.2.1")]),
        ("192.0.2.1:4711", [Key("ip", "192.0.2.1")]),
        ("2001:DB8:0::1", [Key("ip", "2001:db8::1")]),
        ("[2001:db8::1]:25", [Key("ip", "2001:db8::1")]),
        ("192.0.2.77/24", [Key("network", "192.0.2.0/24")]),
        ("192.0.2.0/28", [Key("network", "192.0.2.0/28")]),
        ("2001:db8::/48", [Key("network", "2001:db8::/48")]),
    ],
)
def test_a_word_becomes_keys_the_likeliest_first(text, keys):
    assert search_keys(text)[: len(keys)] == keys


def test_a_message_id_is_found_in_a_header_field():
    keys = search_keys("Message-ID: <1234@mail.example.org>")
    assert Key("message_id", "1234@mail.example.org") in keys


def test_a_domain_that_looks_like_a_reference_is_both():
    assert search_keys("a-b.de") == [Key("ref", "a-b.de"), Key("domain", "a-b.de")]


@pytest.mark.parametrize("text", ["", " ", "hi", "two words", "[]", "@", "192.0.2.300", "-"])
def test_a_text_that_names_nothing_is_an_error(text):
    with pytest.raises(SearchError, match=r"expected a reference, a Message-ID, .* found "):
        search_keys(text)


@given(st.text() | st.from_regex(r"[<\[@]{0,2}[0-9a-f.:/@-]{0,30}[>\]]{0,2}(:[0-9]+)?"))
def test_any_text_gives_keys_or_the_error(text):
    try:
        keys = search_keys(text)
    except SearchError:
        return
    assert 0 < len(keys) <= MAX_KEYS
    assert all(key.value for key in keys)


@pytest.mark.parametrize(
    ("network", "indexed"),
    [
        ("192.0.2.0/24", True),
        ("192.0.2.0/28", False),
        ("2001:db8::/48", True),
        ("2001:db8::/32", False),
    ],
)
def test_some_networks_are_in_the_index(network, indexed):
    assert is_indexed(network) == indexed
