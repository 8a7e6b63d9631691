"""Plugins that edit messages: when they can, what is delivered, and what is recorded."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import OPEN, config, plugin
from tests.session.test_recorder import facts

from gatepost.model.decision import deny
from gatepost.testing import play

ENVELOPE = """
    C: MAIL FROM:<a@client.example>{params}
    S: 250
    C: RCPT TO:<one@example.com>
    S: 250
"""
BODY = """
    C: DATA
    S: 354
    C: X-Spam: no
    C: Subject: hello
    C: DKIM-Signature: d=client.example; h=subject
    C: X-Spam: really
    C:  not
    C:
    C: text
    C: .
"""
DKIM = b"DKIM-Signature: d=client.example; h=subject\r\n"


def send(*plugins, end="S: 250", params="", **options):
    return play(OPEN + ENVELOPE.format(params=params) + BODY + end, plugins, **options)


def delivered(*plugins, **options):
    """Return the content without the Received field of the server."""
    (message,) = send(*plugins, **options).messages
    received, _, rest = message.content.partition(b"+0000\r\n")
    assert received.startswith(b"Received: from client.example ")
    return rest


def tag(tx, *_):
    subject = tx.message.headers().get("Subject")
    assert tx.message.replace_header("Subject", f"[EXT] {subject}") == 1


def clean(tx, *_):
    assert tx.message.remove_header("X-Spam", lambda value: value != "no") == 1


def rewrite(tx):
    tx.message.replace_body([b"new\r\n", b"body\r\n"])


def tag_later(tx, *_):
    async def later():
        await asyncio.sleep(0)
        tag(tx)

    return later()


@pytest.mark.parametrize("hook", ["on_headers", "on_message", "on_deliver"])
@pytest.mark.parametrize("tagging", [tag, tag_later])
def test_a_subject_is_tagged_and_all_other_octets_stay(hook, tagging):
    content = delivered(plugin(**{hook: tagging}))
    expected = b"X-Spam: no\r\nSubject: [EXT] hello\r\n" + DKIM + b"X-Spam: really\r\n not\r\n"
    assert content == expected + b"\r\ntext\r\n"


def test_edits_of_several_plugins_compose():
    plugins = [
        plugin(name="one", on_headers=clean),
        plugin(name="two", on_message=tag),
        plugin(name="three", on_message=rewrite),
        plugin(name="four", on_deliver=tag),
    ]
    expected = b"X-Spam: no\r\nSubject: [EXT] [EXT] hello\r\n" + DKIM + b"\r\nnew\r\nbody\r\n"
    assert delivered(*plugins) == expected


def test_fields_that_are_added_at_delivery_are_behind_the_trace_field():
    def add(tx):
        tx.message.add_header("X-Late", "1")
        assert tx.message.remove_header("Received") == 0

    assert delivered(plugin(on_deliver=add)).startswith(b"X-Late: 1\r\nX-Spam: no\r\n")


@pytest.mark.parametrize(
    ("hook", "edit"),
    [
        ("on_message", lambda tx: tx.message.replace_body(b"a\nb")),
        ("on_message", lambda tx: tx.message.replace_header("Subject", "a\r\nBcc: b")),
        ("on_headers", lambda tx, _: tx.message.replace_body(b"early")),
        ("on_message", lambda tx: tx.message.replace_body(b"x" * 1001)),
    ],
)
def test_a_refused_edit_fails_the_plugin(hook, edit):
    limited = config(limits={"message_size": 1000})
    played = send(plugin(**{hook: edit}), end="S: 451 4.3.0*", config=limited)
    assert played.messages == []


@pytest.mark.parametrize("hook", ["after_deliver", "on_delivered", "on_reset"])
def test_a_message_cannot_be_edited_once_delivery_has_begun(hook):
    raised = []

    def late(tx, *_):
        with pytest.raises(RuntimeError) as caught:
            tx.message.add_header("X", "1")
        raised.append(str(caught.value))

    refuse = {"on_message": lambda _tx: deny("no")} if hook == "on_reset" else {}
    send(plugin(**{hook: late}, **refuse), end="S: 554" if refuse else "S: 250")
    assert raised == [
        "the message cannot be edited now: edit it in on_headers, on_message or on_deliver"
    ]


@pytest.mark.parametrize(
    ("params", "body", "expected"),
    [
        ("", b"new\r\n", {}),
        ("", "nüw\r\n".encode(), {"BODY": "8BITMIME"}),
        (" BODY=7BIT", "nüw\r\n".encode(), {"BODY": "8BITMIME"}),
        (" BODY=7BIT", b"new\r\n", {"BODY": "7BIT"}),
    ],
)
def test_a_body_that_is_not_ascii_is_declared(params, body, expected):
    seen = []
    replace = plugin(
        on_message=lambda tx: tx.message.replace_body(body),
        on_delivered=lambda tx: seen.append(tx.params),
    )
    send(replace, params=params)
    assert seen == [expected]


@pytest.mark.parametrize(
    ("params", "value"),
    [("", b"=?utf-8?b?R3LDvMOfZQ==?="), (" SMTPUTF8", "Grüße".encode())],
)
def test_values_are_encoded_unless_the_client_requests_smtputf8(params, value):
    def edit(tx):
        tx.message.replace_header("Subject", "Grüße")

    content = delivered(plugin(on_message=edit), params=params)
    assert b"\r\nSubject: " + value + b"\r\n" in content


# records


def test_edits_are_recorded_before_the_message_is_accepted():
    found = facts(OPEN + ENVELOPE.format(params="") + BODY + "S: 250", [plugin(on_message=tag)])
    names = [name for name, _ in found]
    assert names.index("edited") == names.index("accepted") - 1
    ((tx, message),) = [args for name, args in found if name == "edited"]
    assert tx.message is message
    assert [str(edit) for edit in message.edits] == ["replaced Subject: [EXT] hello (by test)"]


def test_a_message_without_edits_is_not_recorded_as_edited():
    def remove(tx):
        assert tx.message.remove_header("X-Other") == 0

    transcript = OPEN + ENVELOPE.format(params="") + BODY + "S: 250"
    found = facts(transcript, [plugin(on_message=remove)])
    assert "edited" not in [name for name, _ in found]


def test_edits_and_invalidated_signatures_are_logged():
    with capture_logs() as logs:
        send(plugin(on_message=tag), plugin(on_message=rewrite))
    warning, accepted = logs
    assert (accepted["event"], accepted["log_level"]) == ("accepted", "info")
    assert accepted["edits"] == [
        "replaced Subject: [EXT] hello (by test)",
        "body replaced: 11 octets (by test)",
    ]
    assert (warning["event"], warning["log_level"]) == ("signature invalidated", "warning")
    assert warning["signatures"] == ["DKIM-Signature of client.example"]
    assert warning["ref"] == accepted["ref"]


def test_edits_of_what_is_not_signed_are_no_warning():
    with capture_logs() as logs:
        send(plugin(on_message=clean))
    assert [one["event"] for one in logs] == ["accepted"]


def test_many_edits_are_one_line():
    def add(tx):
        for number in range(50):
            tx.message.add_header("X", str(number))

    with capture_logs() as logs:
        send(plugin(on_message=add))
    assert (len(logs[0]["edits"]), logs[0]["edits_count"]) == (5, 50)
