"""The dialogues of the qpsmtpd plugin, and those in which it missed a bad recipient."""

from collections.abc import Callable
from pathlib import Path

import pytest
from examples.check_verybadrcptto import TEXT, CheckVeryBadRcptTo

from gatepost import Decision, Plugin, Recipient, Transaction, accept, defer, deny
from gatepost.testing import play

OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
"""
TRAPPED = """
    C: MAIL FROM:<spammer@client.example>
    S: 250
    C: RCPT TO:<good@example.com>
    S: 250
    C: RCPT TO:<trap@example.com>
    S: {trap}
    C: DATA
    S: 554 5.6.1 {text} [*]
"""
AFTER = """
    C: RCPT TO:<good@example.com>
    S: 503
    C: MAIL FROM:<friend@client.example>
    S: 250
    C: RCPT TO:<good@example.com>
    S: 250
    C: DATA
    S: 354
    C: Subject: hello
    C: .
    S: 250
"""


@pytest.fixture
def plugin(tmp_path: Path) -> CheckVeryBadRcptTo:
    """Return the plugin with a list of one address."""
    path = tmp_path / "verybadrcptto"
    path.write_text("  trap@example.com  seen on a web page\n\n")
    return CheckVeryBadRcptTo(bad=f"file:{path}")


def test_the_message_is_refused_and_the_next_one_accepted(plugin: CheckVeryBadRcptTo) -> None:
    """The reply is 554 after a second. The connection stays open for a new transaction."""
    result = play(OPEN + TRAPPED.format(trap=250, text=TEXT) + AFTER, [plugin])
    assert [one.reverse_path for one in result.messages] == ["friend@client.example"]
    assert result.slept == [1]


@pytest.mark.parametrize("spelling", ["trap@example.com", "TRAP@Example.Com", '"trap"@example.com'])
def test_any_spelling_is_refused_when_pipelined(plugin: CheckVeryBadRcptTo, spelling: str) -> None:
    """The four replies come in order."""
    dialogue = f"""
        S: 220
        C: HELO client.example
        S: 250
        C: MAIL FROM:<>
        C: RCPT TO:<good@example.com>
        C: RCPT TO:<{spelling}>
        C: DATA
        S: 250
        S: 250
        S: 250
        S: 554 5.6.1 {TEXT} [*]
    """
    assert play(dialogue, [plugin]).messages == []


def test_rset_ends_the_effect(plugin: CheckVeryBadRcptTo) -> None:
    """The note belongs to the transaction."""
    dialogue = """
        C: MAIL FROM:<>
        C: RCPT TO:<trap@example.com>
        C: RSET
        S: 250
        S: 250
        S: 250
        C: DATA
        S: 503
    """
    result = play(OPEN + dialogue + AFTER, [plugin])
    assert len(result.messages) == 1


class FirstPlugin(Plugin):
    """Decides about the bad recipient, so that `on_rcpt` of later plugins does not run."""

    def __init__(self, decide: Callable[[], Decision]) -> None:
        """Store the function that makes the decision."""
        super().__init__()
        self.decide = decide

    def on_rcpt(self, _tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Decide about the bad recipient only."""
        return self.decide() if rcpt.address.local == "trap" else None


@pytest.mark.parametrize(("decide", "code"), [(accept, 250), (deny, 550), (defer, 450)])
def test_the_order_of_plugins_does_not_matter(
    plugin: CheckVeryBadRcptTo, decide: Callable[[], Decision], code: int
) -> None:
    """The qpsmtpd plugin misses a recipient that an earlier plugin accepts or refuses."""
    dialogue = OPEN + TRAPPED.format(trap=code, text=TEXT) + AFTER
    assert len(play(dialogue, [FirstPlugin(decide), plugin]).messages) == 1
