"""Test a plugin that edits messages: compare the content that was delivered."""

import pytest
from examples.tag_external import TagExternal

from gatepost.testing import play

DIALOGUE = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: 354
    C: From: a@client.example
    C: {subject}
    C: x-external: no
    C: To: user@example.com
    C:
    C: text
    C: .
    S: 250
"""


@pytest.mark.parametrize(
    ("subject", "after"),
    [
        ("Subject: hello", "Subject: [EXT] hello"),
        ("SUBJECT:hello", "Subject: [EXT] hello"),
        ("Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=", "Subject: [EXT] =?utf-8?q?gr=C3=BC=C3=9Fe?="),
        ("Subject: Re: [EXT] hello", "Subject: Re: [EXT] hello"),
    ],
)
def test_the_subject_is_tagged(subject: str, after: str) -> None:
    """Replace the Subject in its place and the other field; all other octets stay."""
    (message,) = play(DIALOGUE.format(subject=subject), [TagExternal()]).messages
    before, _, content = message.content.decode().partition("From: ")
    assert "\r\nX-External: yes\r\n" in before
    assert content == f"a@client.example\r\n{after}\r\nTo: user@example.com\r\n\r\ntext\r\n"


def test_a_message_without_a_subject_gets_the_tag() -> None:
    """Add the field behind the others."""
    (message,) = play(DIALOGUE.format(subject="X-Other: 1"), [TagExternal(tag="!")]).messages
    assert b"\r\nTo: user@example.com\r\nSubject: !\r\n\r\ntext\r\n" in message.content
