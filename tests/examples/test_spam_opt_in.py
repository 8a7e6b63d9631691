"""The recipe that refuses a message for some recipients."""

import pytest
from examples.spam_opt_in import SpamOptIn

from gatepost import Plugin
from gatepost.testing import play

DIALOGUE = """
    S: 220
    C: {hello} client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<strict@example.com>
    S: 250
    C: RCPT TO:<other@example.com>
    S: 250
    C: DATA
    S: 354
    C: .
    {replies}
"""


class Score(Plugin):
    """Gives each message points."""

    before = ("spam_opt_in",)

    class Options(Plugin.Options):
        """`points` are the points."""

        points: int

    def on_message(self, tx):
        tx.results.add("score", "found", score=self.options.points)


@pytest.mark.parametrize(
    ("protocol", "hello", "points", "replies", "delivered"),
    [
        ("lmtp", "LHLO", 5, "S: 554 5.7.1 it is spam\nS: 250", ["other@example.com"]),
        ("lmtp", "LHLO", 4, "S: 250\nS: 250", ["other@example.com", "strict@example.com"]),
        ("smtp", "EHLO", 5, "S: 554 5.7.1 it is spam", []),
        ("smtp", "EHLO", 4, "S: 250", ["other@example.com", "strict@example.com"]),
    ],
)
def test_spam_is_refused_for_some(protocol, hello, points, replies, delivered):
    plugins = [Score(points=points), SpamOptIn(strict=["strict@example.com"])]
    played = play(DIALOGUE.format(hello=hello, replies=replies), plugins, protocol=protocol)
    assert sorted(one for message in played.messages for one in message.recipients) == delivered
