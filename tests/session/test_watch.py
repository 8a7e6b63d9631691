"""The content of a message while it arrives, for plugins."""

import pytest
from structlog.testing import capture_logs

from gatepost import Plugin
from gatepost.testing import play

LINES = [f"line {number}" for number in range(5000)]
OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: 354
"""


class Watches(Plugin):
    """Keeps the pieces of the body."""

    def __init__(self, *, fails=False):
        super().__init__()
        self.fails, self.pieces = fails, []

    def update(self, piece):
        self.pieces.append(piece)
        if self.fails:
            raise ValueError("wrong")

    def on_headers(self, tx, headers):
        tx.notes["watch"] = tx.message.watch(self.update, body=True)

    def on_message(self, tx):
        tx.notes["watch"].check()


def sent(plugin, reply):
    content = ["Subject: hello", "", *LINES, "."]
    text = OPEN + "".join(f"C: {line}\n" for line in content) + f"S: {reply}"
    with capture_logs() as events:
        play(text, [plugin])
    return events


def test_the_body_arrives_in_pieces():
    plugin = Watches()
    sent(plugin, "250")
    assert b"".join(plugin.pieces) == "".join(f"{line}\r\n" for line in LINES).encode()
    assert len(plugin.pieces) > 1


@pytest.mark.parametrize("reply", ["451 4.3.0 Temporary local problem*"])
def test_a_function_that_fails_is_logged_and_the_plugin_has_the_error(reply):
    plugin = Watches(fails=True)
    events = sent(plugin, reply)
    failed = [one for one in events if one["event"] == "plugin failed"]
    assert [(one["plugin"], one["method"]) for one in failed] == [
        ("watches", "watch"),
        ("watches", "on_message"),
    ]
    assert len(plugin.pieces) == 1
