"""Plugins that edit messages: when they can, what is delivered, and what is recorded."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import OPEN, config, plugin
from tests.session.test_recorder import facts

from gatepost.model.author import Named
from gatepost.model.decision import deny
from gatepost.model.message import Message
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


# shadow mode


def shadow(**methods):
    return msgspec.structs.replace(plugin(**methods), shadow=True)


def tag_and_rewrite(tx):
    tag(tx)
    clean(tx)
    tx.message.add_header("X-New", "yes", first=False)
    rewrite(tx)


@pytest.mark.parametrize("hook", ["observe_message", "on_message", "after_headers"])
@pytest.mark.parametrize("editing", [tag, tag_later])
def test_edits_in_shadow_mode_have_no_effect(hook, editing):
    assert delivered(shadow(**{hook: editing})) == delivered()


def test_edits_in_shadow_mode_are_logged():
    with capture_logs() as logs:
        assert delivered(shadow(on_message=tag_and_rewrite)).endswith(b"\r\n\r\ntext\r\n")
    edited, accepted = logs
    assert (edited["event"], edited["log_level"]) == ("would have edited", "info")
    assert edited["edits"] == [
        "replaced Subject: [EXT] hello (by test)",
        "removed X-Spam: really not (by test)",
        "added X-New: yes (by test)",
        "body replaced: 11 octets (by test)",
    ]
    assert (accepted["event"], accepted["ref"]) == ("accepted", edited["ref"])


def test_plugins_read_the_message_without_edits_in_shadow_mode():
    seen = []

    def read(tx):
        seen.append((tx.message.headers().get("Subject"), [*map(str, tx.message.edits)]))

    def edit_twice(tx):
        tag(tx)
        read(tx)
        tag(tx)

    content = delivered(shadow(on_message=edit_twice), plugin(on_message=read))
    assert seen == [("hello", []), ("hello", [])]
    assert content == delivered()


def test_edits_next_to_those_in_shadow_mode_have_their_effect():
    with capture_logs() as logs:
        content = delivered(
            plugin(on_message=rewrite), shadow(on_message=tag_and_rewrite), plugin(on_message=clean)
        )
    assert content.endswith(DKIM + b"\r\nnew\r\nbody\r\n")
    assert b"Subject: hello\r\n" in content
    events = [one["event"] for one in logs]
    assert events == ["signature invalidated", "would have edited", "accepted"]
    assert len(logs[2]["edits"]) == 2


@pytest.mark.parametrize(
    "edit",
    [
        lambda tx: tx.message.add_header("X", "a\nb"),
        lambda tx: tx.message.replace_body(b"bare\n"),
    ],
)
def test_a_wrong_edit_in_shadow_mode_is_a_failure_without_effect(edit):
    with capture_logs() as logs:
        assert delivered(shadow(on_message=edit)) == delivered()
    assert [one["event"] for one in logs] == ["plugin failed", "accepted", "accepted"]


def test_a_large_body_in_shadow_mode_leaves_no_file(tmp_path):
    with Message(0, tmp_path) as message:
        message.write(b"Subject: a\r\n\r\nold\r\n")
        message.complete()
        message.author = Named("mine", shadow=True)
        message.replace_body([b"new\r\n"] * 10_000)
        assert bytes(message).endswith(b"old\r\n")
        assert message.octets_held() == (0, message.size)
        assert [str(one) for one in message.shadowed_edits] == [
            "body replaced: 50000 octets (by mine)"
        ]


# content without a body


@pytest.mark.parametrize("wait", [False, True])
def test_headers_without_a_body_are_shown_at_the_end(wait):
    async def later():
        await asyncio.sleep(0)
        return deny("no")

    refuse = plugin(on_headers=lambda *_: later() if wait else deny("no"))
    content = "C: DATA\nS: 354\nC: Subject: all\nC: .\nS: 554 5.7.1 no [*]"
    result = play(OPEN + ENVELOPE.format(params="") + content, [refuse])
    assert result.messages == []
