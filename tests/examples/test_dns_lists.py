"""The recipe for DNS lists."""

import pytest
from examples.dns_lists import DnsLists

from gatepost.plugin.base import Installed
from gatepost.testing import FakeResolver, play

DIALOGUE = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: {reply}
"""
LISTED = {
    "7.2.0.192.bl.test": "127.0.0.2",
    "8.2.0.192.bl.test": "127.0.0.2",
    "8.2.0.192.wl.test": "127.0.2.1",
    "9.2.0.192.bl.test": "127.0.0.2",
    "9.2.0.192.more.test": "127.0.0.4",
}
POINTS = {"bl.test": 3, "more.test": 2, "wl.test": -3}


def refused(zones):
    return f"550 5.7.1 client is listed in {zones}"


@pytest.mark.parametrize(
    ("address", "limit", "reply"),
    [
        ("192.0.2.6", 3, "250"),
        ("192.0.2.7", 3, refused("bl.test")),
        ("192.0.2.7", 5, "250"),
        ("192.0.2.8", 3, "250"),
        ("192.0.2.9", 5, refused("bl.test, more.test")),
    ],
)
def test_points_are_added_up(address, limit, reply):
    plugin = DnsLists(lists=POINTS, limit=limit)
    dialogue = DIALOGUE.format(reply=reply)
    play(dialogue, [plugin], peer=(address, 1), resolver=FakeResolver(a=LISTED))


def test_a_list_without_an_answer_has_no_effect():
    down = FakeResolver(a=LISTED, fail=["9.2.0.192.more.test"])
    plugin = DnsLists(lists=POINTS, limit=3)
    dialogue = DIALOGUE.format(reply=refused("bl.test"))
    play(dialogue, [plugin], peer=("192.0.2.9", 1), resolver=down)


def test_decisions_are_only_logged_in_shadow_mode():
    plugin = Installed(DnsLists(lists=POINTS, limit=3), shadow=True)
    dialogue = DIALOGUE.format(reply="250")
    play(dialogue, [plugin], peer=("192.0.2.7", 1), resolver=FakeResolver(a=LISTED))
