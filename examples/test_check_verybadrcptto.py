"""The dialogues of the origin plugin, and those in which it missed the trap."""

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
    """Return the plugin with a list of one."""
    path = tmp_path / "verybadrcptto"
    path.write_text("  trap@example.com  seen on a web page\n\n")
    return CheckVeryBadRcptTo(file=str(path))


def test_the_message_is_refused_and_the_next_one_taken(plugin: CheckVeryBadRcptTo) -> None:
    """554 after a second, the connection stays, no recipients are left over."""
    played = play(OPEN + TRAPPED.format(trap=250, text=TEXT) + AFTER, [plugin])
    assert [one.reverse_path for one in played.messages] == ["friend@client.example"]
    assert played.slept == [1]


@pytest.mark.parametrize("spelling", ["trap@example.com", "TRAP@Example.Com", '"trap"@example.com'])
def test_pipelined_and_in_any_spelling(plugin: CheckVeryBadRcptTo, spelling: str) -> None:
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


def test_rset_forgets_it(plugin: CheckVeryBadRcptTo) -> None:
    """A note dies with its transaction."""
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
    played = play(OPEN + dialogue + AFTER, [plugin])
    assert len(played.messages) == 1


class Answers(Plugin):
    """Settles every RCPT to the trap, so that later plugins are not asked."""

    def __init__(self, answer: Callable[[], Decision]) -> None:
        """`answer` makes the decision."""
        super().__init__()
        self.answer = answer

    def on_rcpt(self, _tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Answer for the trap only."""
        return self.answer() if rcpt.address.local == "trap" else None


@pytest.mark.parametrize(("answer", "code"), [(accept, 250), (deny, 550), (defer, 450)])
def test_it_need_not_come_first(
    plugin: CheckVeryBadRcptTo, answer: Callable[[], Decision], code: int
) -> None:
    """Listed after a plugin that settles the recipient, the origin plugin saw nothing."""
    dialogue = OPEN + TRAPPED.format(trap=code, text=TEXT) + AFTER
    assert len(play(dialogue, [Answers(answer), plugin]).messages) == 1
