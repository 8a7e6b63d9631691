"""Test a plugin with a transcript and a date, without sockets and without waiting."""

import pytest
from examples.no_mondays import NoMondays

from gatepost.testing import play

DIALOGUE = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<user@example.com>
    S: 250
    S: {reply}
"""


@pytest.mark.parametrize(
    ("now", "reply"),
    [
        ("2024-01-01T12:00", "550 5.7.1 closed today [*]"),
        ("2024-01-02T12:00", "250 2.1.5 Recipient ok"),
    ],
)
def test_closed_on_mondays(now: str, reply: str) -> None:
    """Refuse on the first of January 2024, a Monday, and accept on the second."""
    play(DIALOGUE.format(reply=reply), [NoMondays()], now=now)


def test_the_day_is_an_option() -> None:
    """Refuse on a Tuesday."""
    play(DIALOGUE.format(reply=550), [NoMondays(day=1)], now="2024-01-02T12:00")
