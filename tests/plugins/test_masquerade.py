"""Senders of your own mail: the envelope and the header fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.envelopes import message_of, sent

from gatepost import Address
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins._address_fields import addresses_in, replace_addresses
from gatepost.plugins.masquerade import LONGEST, Masquerade
from gatepost.testing import MemoryTable

WEB = "cron@web1.example.com"
DOMAINS = {"domains": {".example.com": "example.com"}}


def delivered(
    fields=f"From: {WEB}", sender=WEB, *, params="", inside=True, shadow=False, **options
):
    """Send a message; return the sender with which it is delivered, and its fields."""
    message = message_of(
        Masquerade(**options),
        sender=sender,
        fields=fields,
        params=params,
        inside=inside,
        shadow=shadow,
    )
    block = message.content.decode().partition("\r\n\r\n")[0].split("\r\n")
    sent_as = next(iter(message.senders.values()), sender)
    return sent_as, [one for one in block if not one.startswith(("Received", "\t"))]


def test_the_envelope_and_the_fields_change():
    fields = f'From: "Cron (x)" <{WEB}> (on WEB1)\nReply-To: <a@db.example.com>, {WEB}\nTo: {WEB}'
    assert delivered(fields, **DOMAINS) == (
        "cron@example.com",
        [
            'From: "Cron (x)" <cron@example.com> (on WEB1)',
            "Reply-To: <a@example.com>, cron@example.com",
            f"To: {WEB}",
        ],
    )


@pytest.mark.parametrize(
    ("options", "sender", "expected"),
    [
        ({"domains": {"web1.example.com": "example.org"}}, WEB, "cron@example.org"),
        (
            {"domains": {"web1.example.com": "a.example"} | DOMAINS["domains"]},
            WEB,
            "cron@a.example",
        ),
        (DOMAINS, "cron@a.web1.example.com", "cron@example.com"),
        (DOMAINS, "cron@example.com", "cron@example.com"),
        (DOMAINS, "cron@web1.example.org", "cron@web1.example.org"),
        (DOMAINS, "", ""),
        (DOMAINS | {"exempt": [WEB]}, WEB, WEB),
        (DOMAINS | {"envelope": False}, WEB, WEB),
    ],
)
def test_the_new_domain_is_that_of_the_nearest_entry(options, sender, expected):
    assert delivered("Subject: x", sender, **options)[0] == expected


def test_tables_come_before_domains():
    rows = {WEB: "postmaster@example.com", "@db.example.com": "@example.net", "@a.example.com": ""}
    options = {"tables": {"memory:t": MemoryTable(rows)}}
    plugin = DOMAINS | {"tables": ["memory:t"]}
    fields = f"From: {WEB}, x@db.example.com, y@a.example.com"
    made = Masquerade(**plugin)
    message = message_of(made, sender=WEB, fields=fields, inside=True, **options)
    assert set(message.senders.values()) == {"postmaster@example.com"}
    assert b"From: postmaster@example.com, x@example.net, y@example.com\r\n" in message.content


def test_mail_from_outside_stays():
    assert delivered(inside=False, **DOMAINS) == (WEB, [f"From: {WEB}"])


def test_in_shadow_mode_the_message_stays():
    assert delivered(shadow=True, **DOMAINS) == (WEB, [f"From: {WEB}"])


@pytest.mark.parametrize(
    "fields",
    [
        f"From: {WEB}\nFrom: {WEB}",
        f"From: Jos\xe9 <{WEB}>",
        f"From: {'a ' * (LONGEST // 2)} <{WEB}>",
        f"X-From: {WEB}",
    ],
    ids=["twice", "not ASCII", "long", "other"],
)
def test_fields_that_cannot_be_changed_safely_stay(fields):
    message = message_of(Masquerade(**DOMAINS), sender=WEB, fields=fields, inside=True)
    assert message.content.count(WEB.encode()) == fields.count(WEB)


def test_a_field_with_utf8_changes_in_a_message_that_may_have_it():
    params = " SMTPUTF8 BODY=8BITMIME"
    _, found = delivered(f"From: Jos\xe9 <{WEB}>", params=params, **DOMAINS)
    assert found == ["From: Jos\xe9 <cron@example.com>"]


def test_changes_are_counted():
    played = sent(Masquerade(**DOMAINS), sender=WEB, fields=f"From: {WEB}", inside=True)
    for where in ("envelope", "header"):
        assert played.metrics.value("gatepost_plugin_masquerade_changed", where=where) == 1


def test_a_wrong_value_in_a_table_defers():
    plugin = Masquerade(tables=["memory:t"], envelope=False)
    tables = {"memory:t": MemoryTable({WEB: "no address"})}
    reply = "451 4.3.0 Temporary local problem*"
    sent(plugin, fields=f"From: {WEB}", inside=True, tables=tables, reply=reply)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "expected domains or tables"),
        ({"domains": {"a b": "example.com"}}, "expected local-part@domain"),
        ({"domains": {"a.example": "b c"}}, "expected local-part@domain"),
    ],
)
def test_wrong_options_are_errors(options, problem):
    with pytest.raises(OptionsError, match=problem):
        Masquerade(**options)


# The addresses in a field

OLD, NEW = Address.parse("a@b.example"), Address.parse("new@c.example")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@b.example", "new@c.example"),
        (
            'A <a@b.example>, "a@b.example" <x@b.example>',
            'A <new@c.example>, "a@b.example" <x@b.example>',
        ),
        ("a@b.example (a@b.example)", "new@c.example (a@b.example)"),
        ("Team: a@b.example, x@y;", "Team: new@c.example, x@y;"),
        ('"a"@b.example', "new@c.example"),
        ('"open a@b.example', '"open a@b.example'),
        ("(open a@b.example", "(open a@b.example"),
        ("a@b.example@c", "new@c.example@c"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@b..example", "a@b..example"),
    ],
)
def test_only_addresses_are_replaced(value, expected):
    assert replace_addresses(value, {OLD: NEW}) == expected


@given(st.text(alphabet='a@b.<>()",\\ \t;:[]', max_size=60))
def test_any_value_stays_without_replacements(value):
    assert replace_addresses(value, {}) == value
    assert all(str(one) for one in addresses_in(value))


@pytest.mark.parametrize("piece", ['"', "\\", "(", '"\\', "(\\", "a", "a@", "@", "[", '("', "a@["])
def test_long_values_are_read_in_linear_time(piece):
    value = piece * 200_000
    assert replace_addresses(value, {}) == value
