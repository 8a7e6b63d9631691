"""The recipe for aliases and a journal."""

import pytest
from examples.aliases import Aliases

from gatepost import Plugin, deny
from gatepost.testing import play

TEAM = {"team@example.com": ["ann@example.com", "bob@example.com"]}
JOURNAL = "journal@example.com"
DIALOGUE = """
    S: 220
    C: {hello} client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<team@example.com>
    S: 250
    C: RCPT TO:<carol@example.com>
    S: 250
    C: DATA
    S: 354
    C: .
    {replies}
    C: NOOP
    S: 250 2.0.0 Ok
"""


@pytest.mark.parametrize(
    ("protocol", "hello", "number"), [("smtp", "EHLO", 1), ("lmtp", "LHLO", 2)]
)
def test_aliases_are_replaced_and_the_journal_is_added(protocol, hello, number):
    dialogue = DIALOGUE.format(hello=hello, replies="S: 250\n" * number)
    played = play(dialogue, [Aliases(aliases=TEAM, journal=JOURNAL)], protocol=protocol)
    found = sorted(rcpt for message in played.messages for rcpt in message.recipients)
    assert found == ["ann@example.com", "bob@example.com", "carol@example.com", JOURNAL]


class RefuseAll(Plugin):
    """Refuses every recipient."""

    after = ("aliases",)

    def on_rcpt(self, _tx, _rcpt):
        return deny()


def test_a_message_for_the_journal_alone_is_not_accepted():
    dialogue = """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<>
        S: 250
        C: RCPT TO:<team@example.com>
        S: 550
        C: DATA
        S: 554
    """
    plugins = [Aliases(aliases=TEAM, journal=JOURNAL), RefuseAll()]
    assert play(dialogue, plugins).messages == []
