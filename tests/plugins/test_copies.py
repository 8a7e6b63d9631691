"""Copies of mail: of all, by sender, by recipient."""

import pytest
from tests.plugins.envelopes import CONFIG, message_of, sent

from gatepost import Plugin
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins.copies import PASSES, Copies
from gatepost.testing import MemoryTable

COPY = "archive@example.com"


class Alias(Plugin):
    def on_rcpt(self, tx, rcpt):
        if rcpt.user == "team":
            tx.replace_recipient(rcpt, ["ann@example.com"])


def copies(message):
    return [one for one in message.recipients if one not in {"ann@example.com", "bob@example.com"}]


def test_all_mail_is_copied_by_the_route_of_the_archive():
    message = message_of(Copies(to=[COPY], route="archive"))
    assert message.recipients == ["ann@example.com", COPY]
    assert message.routes == {COPY: "archive"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"senders": {"a@client.example": [COPY]}}, [COPY]),
        ({"senders": {"@Client.Example": [COPY, "two@example.com"]}}, [COPY, "two@example.com"]),
        ({"senders": {"b@client.example": [COPY]}}, []),
        ({"recipients": {"ann@example.com": [COPY]}}, [COPY]),
        ({"recipients": {"@example.com": [COPY]}, "senders": {"@client.example": [COPY]}}, [COPY]),
        ({"recipients": {"team@example.com": [COPY]}}, []),
        ({"recipients": {"ann@example.com": ["ann@example.com"]}}, []),
    ],
)
def test_mail_of_an_address_is_copied(options, expected):
    assert copies(message_of(Copies(**options))) == expected


@pytest.mark.parametrize("name", ["team@example.com", "ann@example.com"])
def test_the_recipient_is_what_the_client_names_and_what_replaces_it(name):
    to = ["team+x@example.com"]
    found = message_of(Copies(recipients={name: [COPY]}), Alias(), to=to)
    assert found.recipients == ["ann@example.com", COPY]


def test_the_addresses_can_be_in_tables():
    tables = {
        "memory:s": MemoryTable({"@client.example": "s@example.com, t@example.com"}),
        "memory:r": MemoryTable({"ann@example.com": "r@example.com"}),
    }
    plugin = Copies(sender_tables=["memory:s"], recipient_tables=["memory:r"])
    expected = ["s@example.com", "t@example.com", "r@example.com"]
    assert copies(message_of(plugin, tables=tables)) == expected


@pytest.mark.parametrize(
    ("direction", "inside", "expected"),
    [
        ("both", True, [COPY]),
        ("in", False, [COPY]),
        ("in", True, []),
        ("out", False, []),
        ("out", True, [COPY]),
    ],
)
def test_mail_of_a_direction_is_copied(direction, inside, expected):
    plugin = Copies(to=[COPY], direction=direction)
    assert copies(message_of(plugin, inside=inside)) == expected


def test_a_held_message_has_the_copy():
    class Hold(Plugin):
        def on_message(self, tx):
            tx.quarantine("looks bad")

    assert copies(message_of(Hold(), Copies(to=[COPY]))) == [COPY]


def test_a_bounce_is_copied_by_its_recipient_only():
    options = {"senders": {"@client.example": [COPY]}, "recipients": {"@example.com": [COPY]}}
    assert copies(message_of(Copies(**options), sender="")) == [COPY]
    del options["recipients"]
    assert copies(message_of(Copies(**options), sender="")) == []


@pytest.mark.parametrize(("passes", "expected"), [(PASSES - 1, [COPY]), (PASSES, [])])
def test_a_message_that_comes_back_is_not_copied_for_ever(passes, expected):
    trace = "Received: from x ([192.0.2.1]) by mx.example.com (Gatepost) with SMTP id 1; x\n"
    config = CONFIG | {"server": {"hostname": "mx.example.com"}}
    found = message_of(Copies(to=[COPY]), fields=trace * passes + "Subject: x", config=config)
    assert copies(found) == expected


def test_mail_of_an_address_with_copies_is_not_copied():
    assert copies(message_of(Copies(to=[COPY]), sender=COPY)) == []


def test_in_shadow_mode_there_is_no_copy():
    assert copies(message_of(Copies(to=[COPY]), shadow=True)) == []


def test_an_outage_of_a_table_defers():
    table = MemoryTable()
    table.failure = "no answer"
    plugin = Copies(recipient_tables=["memory:r"])
    sent(plugin, tables={"memory:r": table}, reply="451 4.3.0 Temporary local problem*")


def test_copies_are_counted():
    played = sent(Copies(to=[COPY, "ann@example.com"]))
    assert played.metrics.value("gatepost_plugin_copies_added") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "expected to, senders, recipients or tables"),
        ({"to": ["no address"]}, "expected local-part@domain"),
        ({"senders": {"a b@x": [COPY]}}, "expected local-part@domain"),
    ],
)
def test_wrong_options_are_errors(options, problem):
    with pytest.raises(OptionsError, match=problem):
        Copies(**options)


def test_a_route_that_does_not_exist_is_an_error_at_start():
    with pytest.raises(ValueError, match="expected the name of a"):
        Copies(to=[COPY], route="none").start()
