"""The edits of plugins go back to the mail server as changes of its message."""

import pytest
from tests.server.milter import GOOD, milter_config, plugin, run

from gatepost import accept, deny, hold
from gatepost.net.inline import need_task

FIELDS = (("Subject", " one"), ("X-A", " 1"), ("x-a", " 2"), ("X-A", " 3\n\tmore"), ("To", " x"))


@pytest.fixture
def changes(tmp_path):
    """Return a function that sends a message to a plugin; it returns the response and changes."""

    def changes(*fields, to=(GOOD,), traps=(), trap_rules=None, **methods):
        found = []

        async def scenario(server):
            client = await server.mta()
            found.append(await client.message(*(fields or FIELDS), to=to))
            found.append(client.changes)
            await client.close()

        made = milter_config(tmp_path, traps, trap_rules=trap_rules or {})
        run(scenario, made, plugin(**methods))
        return found

    return changes


def test_a_message_without_edits_has_no_changes(changes):
    assert changes(on_message=lambda _tx: None) == ["c", []]


def edit(*calls):
    """Return a method that calls these methods of the message."""

    def on_message(tx):
        for name, *args in calls:
            getattr(tx.message, name)(*args)

    return on_message


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([("add_header", "X-New", "1")], [("i", b"\0\0\0\0X-New\0 1\0")]),
        (
            [("add_header", "X-New", "1"), ("add_header", "X-New", "2")],
            [("i", b"\0\0\0\0X-New\0 1\0"), ("i", b"\0\0\0\0X-New\0 2\0")],
        ),
        ([("replace_header", "subject", "two")], [("m", b"\0\0\0\1subject\0 two\0")]),
        ([("replace_header", "X-None", "1")], [("h", b"X-None\0 1\0")]),
        (
            [("remove_header", "X-A")],
            [
                ("m", b"\0\0\0\3X-A\0\0"),
                ("m", b"\0\0\0\2x-a\0\0"),
                ("m", b"\0\0\0\1X-A\0\0"),
            ],
        ),
        ([("remove_header", "X-A", lambda value: value == "2")], [("m", b"\0\0\0\2x-a\0\0")]),
        (
            [("replace_header", "X-A", "new")],
            [
                ("m", b"\0\0\0\3X-A\0\0"),
                ("m", b"\0\0\0\2x-a\0\0"),
                ("m", b"\0\0\0\1X-A\0 new\0"),
            ],
        ),
        (
            [("remove_header", "X-A", lambda value: value == "1"), ("replace_header", "To", "y")],
            [("m", b"\0\0\0\1X-A\0\0"), ("m", b"\0\0\0\1To\0 y\0")],
        ),
        ([("remove_header", "X-None")], []),
        ([("replace_body", b"a\r\nb\r\n")], [("b", b"a\r\nb\r\n")]),
        ([("replace_body", b"")], [("b", b"")]),
        (
            [("add_header", "X-Long", "word " * 30)],
            [
                (
                    "i",
                    b"\0\0\0\0X-Long\0"
                    + b"\n".join([b" word" * 13, b" word" * 15, b" word word "])
                    + b"\0",
                )
            ],
        ),
    ],
)
def test_edits_are_changes(changes, calls, expected):
    response, found = changes(on_message=edit(*calls))
    assert (response, found) == ("c", expected)


def test_an_edit_that_appends_a_field_follows_those_of_its_name(changes):
    def on_message(tx):
        tx.message.remove_header("X-A", lambda value: value == "3\tmore")
        tx.message.add_header("X-A", "4", first=False)
        tx.message.add_header("X-A", "5", first=False)

    assert changes(on_message=on_message) == [
        "c",
        [("m", b"\0\0\0\3X-A\0 4\0"), ("h", b"X-A\0 5\0")],
    ]


def test_edits_at_the_header_block_and_by_plugins_that_wait_count_too(changes):
    async def on_headers(tx, _headers):
        await need_task()
        tx.message.add_header("X-Early", "1")

    assert changes(on_headers=on_headers) == ["c", [("i", b"\0\0\0\0X-Early\0 1\0")]]


def test_words_of_acceptance_do_not_lose_the_changes(changes):
    def on_message(tx):
        tx.message.add_header("X-New", "1")
        return accept("fine")

    assert changes(on_message=on_message) == ["c", [("i", b"\0\0\0\0X-New\0 1\0")]]


def test_recipients_are_added_and_deleted(changes):
    def on_rcpt(tx, rcpt):
        if rcpt.address.local == "alias":
            tx.replace_recipient(rcpt, ["one@example.com", "two@example.com"])

    def on_message(tx):
        tx.add_recipient("journal@example.com")

    response, found = changes(
        to=("alias@example.com", GOOD), on_rcpt=on_rcpt, on_message=on_message
    )
    assert response == "c"
    assert found == [
        *(("+", b"<one@example.com>\0"), ("+", b"<two@example.com>\0")),
        *(("2", b"<journal@example.com>\0NOTIFY=NEVER\0"), ("-", b"<alias@example.com>\0")),
    ]


def test_the_mail_server_gets_the_first_sender_that_a_plugin_has_set(changes):
    def on_rcpt(tx, rcpt):
        if rcpt.user != "good":
            tx.change_sender(f"{rcpt.user}@example.com", [rcpt])

    to = (GOOD, "one@example.com", "two@example.com")
    assert changes(to=to, on_rcpt=on_rcpt) == ["c", [("e", b"<one@example.com>\0")]]


def test_a_quarantined_message_is_held_with_its_changes(changes):
    def on_message(tx):
        tx.message.add_header("X-New", "1")
        return hold("looks bad")

    assert changes(on_message=on_message) == [
        "c",
        [("i", b"\0\0\0\0X-New\0 1\0"), ("q", b"looks bad\0")],
    ]


def test_a_message_that_a_plugin_has_stored_is_dropped_by_the_mail_server(changes):
    assert changes(on_deliver=lambda _tx: accept()) == ["d", []]


def test_a_refusal_of_some_recipients_is_one_of_all(changes):
    def on_message(tx):
        return deny("not you", recipients=tx.recipients[:1])

    assert changes(to=(GOOD, "b@example.com"), on_message=on_message) == ["554 5.7.1 not you", []]


def test_results_are_added_and_forged_ones_removed(changes):
    def on_mail(tx, _sender):
        tx.results.add("spf", "pass", method="spf")

    forged = ("Authentication-Results", " localhost; spf=pass")
    response, found = changes(forged, *FIELDS, on_mail=on_mail)
    assert response == "c"
    assert found[0] == ("m", b"\0\0\0\1Authentication-Results\0\0")


def test_a_mark_of_a_trap_is_added_and_a_forged_one_removed(changes):
    response, found = changes(
        ("X-Gatepost-Trap", " marked"),
        ("Subject", " x"),
        to=("hidden-page@example.com", GOOD),
        traps=["hidden-page@example.com"],
        on_mail=lambda tx, _: tx.results.add("standing", "trusted") and None,
    )
    assert response == "c"
    assert found == [
        ("m", b"\0\0\0\1X-Gatepost-Trap\0\0"),
        ("i", b"\0\0\0\0X-Gatepost-Trap\0 marked\0"),
    ]


def test_a_header_block_that_is_too_long_to_be_edited_gets_fields_in_front(changes):
    fields = [("X-A", " " + "x" * 60_000)] * 18
    response, found = changes(*fields, on_message=edit(("add_header", "X-New", "1")))
    assert (response, found) == ("c", [("i", b"\0\0\0\0X-New\0 1\0")])
