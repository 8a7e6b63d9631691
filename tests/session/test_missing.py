"""Date and Message-ID are added to mail of authenticated clients only."""

import re

import pytest
from tests.auth.samples import b64, plain
from tests.session.authentication import WELCOME, auth_config
from tests.session.dialogue import plugin

from gatepost.config.schema import ListenConfig
from gatepost.testing import play

LOGIN = f"C: AUTH PLAIN {b64(plain())}\nS: {WELCOME}\n"
DATE = "Date: Mon, 01 Jan 2024 "
ID = re.compile(r"Message-ID: (<[0-9a-f]+-1\.1\.[0-9a-f]+@localhost>)\r\n")


def sent(folder, content, *, login=LOGIN, plugins=(), protocol="smtp", peer="192.0.2.1", **listen):
    """Return the delivered message."""
    hello = "LHLO" if protocol == "lmtp" else "EHLO"
    text = (
        f"S: 220\nC: {hello} client.example\nS: 250\n{login}C: MAIL FROM:<a@example.com>\nS: 250\n"
        "C: RCPT TO:<one@example.com>\nS: 250\nC: DATA\nS: 354\n"
    )
    lines = "".join(f"C: {line}\n" for line in content.split("\n"))
    config = auth_config(folder, listen=[ListenConfig(auth=True, **listen)])
    text += f"{lines}C: .\nS: 250"
    result = play(text, plugins, config=config, protocol=protocol, peer=(peer, 50000))
    return result.messages[0].content.decode()


def names(message):
    """Return the names of the fields, without Received."""
    head = message.rstrip().partition("\r\n\r\n")[0].replace("\r\n\t", " ")
    fields = [line.partition(":")[0] for line in head.split("\r\n")]
    assert fields[0] == "Received"
    return fields[1:]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Subject: x\n\ntext", ["Date", "Message-ID", "Subject"]),
        ("Subject: x\nDate: y\n\ntext", ["Message-ID", "Subject", "Date"]),
        ("message-id : <1@x>\n\ntext", ["Date", "message-id "]),
        ("DATE: y\nMESSAGE-ID: z\n\nDate: y", ["DATE", "MESSAGE-ID"]),
        ("Message-ID:\nDate:\n\ntext", ["Message-ID", "Date"]),
        (
            "X-Date: y\nMessage-IDs: z\nA: b\n Date: y\n\nDate: y",
            ["Date", "Message-ID", "X-Date", "Message-IDs", "A", " Date"],
        ),
        ("Subject: x", ["Date", "Message-ID", "Subject"]),
        ("", ["Date", "Message-ID"]),
    ],
)
def test_missing_fields_are_added_after_received(tmp_path, content, found, protocol):
    message = sent(tmp_path, content, protocol=protocol)
    assert names(message) == found
    assert message.rstrip().endswith(content.replace("\n", "\r\n"))


def test_the_date_is_the_time_of_mail_and_the_id_has_the_reference(tmp_path):
    message = sent(tmp_path, "Subject: x\n\ntext")
    assert f"\r\n{DATE}" in message
    assert ID.search(message)


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1"])
def test_mail_without_a_login_is_not_changed(tmp_path, peer):
    assert names(sent(tmp_path, "Subject: x\n\ntext", login="", peer=peer)) == ["Subject"]


def test_adding_fields_can_be_switched_off(tmp_path):
    found = sent(tmp_path, "Subject: x\n\ntext", add_missing_headers=False)
    assert names(found) == ["Subject"]


def test_a_plugin_sees_the_added_fields_in_the_whole_message(tmp_path):
    seen = []

    def on_message(tx):
        seen.append((bytes(tx.message).decode(), tx.message_id))
        tx.message.add_header("X-Signature", "y")

    message = sent(tmp_path, "Subject: x\n\ntext", plugins=[plugin(on_message=on_message)])
    assert names(message) == ["X-Signature", "Date", "Message-ID", "Subject"]
    ((content, message_id),) = seen
    assert content.startswith("Date: ")
    assert ID.search(content)[1] == message_id


def test_a_text_without_a_header_block_stays_the_text(tmp_path):
    message = sent(tmp_path, "Hello\n\ntext")
    assert names(message) == ["Date", "Message-ID"]
    assert message.endswith("\r\n\r\nHello\r\n\r\ntext\r\n")
