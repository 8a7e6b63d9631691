"""Names of hosts that reveal traps or a filter."""

import pytest

from gatepost.checks.revealing_names import revealing_word

OURS = ["example.com", "spamlab.example"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("spamfilter.example.com", "spam"),
        ("mx1.antispam-gw.example.com", "spam"),
        ("honeypot7.example.net", "honey"),
        ("TRAP.Example.com", "trap"),
        ("mail-abuse.example.com", "abuse"),
        ("rbl2.example.com", "rbl"),
        ("list.example.com", "list"),
        ("lab-mx.example.com", "lab"),
    ],
)
def test_a_revealing_word_is_found(name, word):
    assert revealing_word(name, OURS) == word


@pytest.mark.parametrize(
    "name",
    [
        "mx.example.com",
        "mx1.spamlab.example",
        "mail.blackberry.example.com",
        "playlist.example.com",
        "elabora.example.com",
        "securityweek.example.net",
        "mx.spamhaus.example",
        "localhost",
        "",
    ],
)
def test_domains_and_parts_of_other_words_are_not_judged(name):
    assert revealing_word(name, OURS) == ""


def test_only_a_whole_label_separates_a_domain():
    assert revealing_word("spam.notexample.com", ["example.com"]) == "spam"
