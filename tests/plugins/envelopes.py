"""Dialogues for plugins that change the envelope: one message, from outside or from a user."""

from tests.plugins.scanners import installed

from gatepost.testing import play

OUTSIDE, INSIDE = ("192.0.2.7", 50000), ("198.51.100.7", 50000)
CONFIG = {
    "recipients": {"domains": ["example.com"]},
    "route": [
        {"for": ["*"], "to": "discard:", "relay_for": ["198.51.100.0/24"]},
        {"name": "archive", "for": [], "to": "discard:"},
        {"name": "pager", "for": [], "to": "discard:"},
    ],
}
HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""


def sent(
    *plugins,
    sender="a@client.example",
    to=("ann@example.com",),
    fields="Subject: x",
    params="",
    inside=False,
    reply="250",
    rcpt="250",
    shadow=False,
    **options,
):
    """Send a message; return what was played. `rcpt` is the reply to each recipient."""
    lines = [f"C: MAIL FROM:<{sender}>{params}", "S: 250"]
    for one in to:
        lines += [f"C: RCPT TO:<{one}>", f"S: {rcpt}"]
    if rcpt == "250":
        lines += ["C: DATA", "S: 354", *(f"C: {one}" for one in fields.split("\n"))]
        lines += ["C:", "C: text", "C: .", f"S: {reply}"]
    first, *others = plugins
    made = [*others, installed(first, shadow=shadow)]
    peer = INSIDE if inside else OUTSIDE
    transcript = HELLO + "\n".join(lines)
    return play(transcript, made, peer=peer, **{"config": CONFIG} | options)


def message_of(*plugins, **options):
    """Send a message; return it as it is delivered."""
    [message] = sent(*plugins, **options).messages
    return message
