"""The recipe for a command."""

from examples.status_verb import StatusVerb

from gatepost.testing import play


def test_the_command_is_announced_and_answered():
    played = play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: XSTATUS
        S: 211 2.0.0 0 messages in this session
        C: XSTATUS now
        S: 501
        """,
        [StatusVerb()],
    )
    assert "XSTATUS" in played.replies[1].replace("-", " ").split()
