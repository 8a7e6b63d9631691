"""Decisions by the sum of points."""

from email import message_from_bytes

import pytest

from gatepost import Plugin
from gatepost.plugins.score import Score
from gatepost.testing import play


def fields(message, name):
    return message_from_bytes(message.content).get_all(name, [])


HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
"""
RCPT = """
    C: RCPT TO:<user@example.com>
    S: 250
"""
MESSAGE = """
    C: DATA
    S: 354
    C: Subject: hello
    C: X-Spam-Flag: NO
    C: X-Score: 0
    C:
    C: text
    C: .
"""


class Points(Plugin):
    """Give points about the client, the sender and the content."""

    class Options(Plugin.Options):
        client: float = 0
        sender: float = 0
        content: float = 0

    def on_connect(self, session):
        session.results.add("client", "bad", score=self.options.client)

    def on_mail(self, tx, sender):
        tx.results.add("sender", "bad", score=self.options.sender)

    def on_message(self, tx):
        tx.results.add("content", "bad", score=self.options.content)


def test_a_recipient_is_refused_by_points_of_client_and_sender():
    refused = """
        C: RCPT TO:<user@example.com>
        S: 550 5.7.1 Message looks like spam: sender, client*
    """
    played = play(HELLO + refused, [Score(), Points(client=4, sender=6)])
    assert [(one.hook, one.reason) for one in played.decisions] == [("rcpt", "score")]
    assert played.metrics.value("gatepost_plugin_score_refused", stage="rcpt") == 1


def test_a_message_is_refused_by_points_of_the_content():
    points = Points(client=4, content=6)
    play(
        f"{HELLO}{RCPT}{MESSAGE}S: 554 5.7.1 Message looks like spam: content, client*",
        [points, Score()],
    )


def test_stages_that_are_left_out_do_not_decide():
    points = Points(sender=12, content=-5)
    played = play(f"{HELLO}{RCPT}{MESSAGE}S: 250", [points, Score(stages=["message"])])
    assert played.decisions == []


def test_data_is_deferred():
    deferred = "C: DATA\nS: 451 4.7.1 Message looks like spam: sender*"
    score = Score(deny=0, defer=3, stages=["data"])
    play(f"{HELLO}{RCPT}{deferred}", [Points(sender=3), score])


@pytest.mark.parametrize(("points", "flags"), [(5, ["YES"]), (4.5, [])])
def test_a_message_is_marked(points, flags):
    score = Score(header="X-Score")
    played = play(f"{HELLO}{RCPT}{MESSAGE}S: 250", [Points(content=points), score])
    (message,) = played.messages
    assert fields(message, "X-Spam-Flag") == flags
    assert fields(message, "X-Score") == [f"{points:g} content={points:g}"]


def test_points_of_a_client_count_for_each_of_its_messages():
    first = f"{HELLO}{RCPT}{MESSAGE}S: 250"
    second = f"C: MAIL FROM:<b@client.example>\nS: 250{RCPT}{MESSAGE}S: 250"
    played = play(f"{first}\n{second}", [Points(client=5), Score()])
    assert [fields(one, "X-Spam-Flag") for one in played.messages] == [["YES"], ["YES"]]


def test_negative_thresholds_are_refused():
    with pytest.raises(ValueError, match="expected thresholds of 0 or more points"):
        Score(deny=-1)


def test_a_message_is_held_from_so_many_points_on_and_marked():
    played = play(HELLO + RCPT + MESSAGE + "    S: 250\n", [Points(client=6), Score(hold=6)])
    [message] = played.messages
    assert (message.quarantined, fields(message, "X-Spam-Flag")) == ("score", ["YES"])
