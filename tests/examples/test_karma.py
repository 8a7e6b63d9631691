"""The recipe for karma."""

from examples.karma import Karma

from gatepost.testing import MemoryStore, play

OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
"""
DEFERRED = "S: 421 4.7.0 try again later"
UNKNOWN = """
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<a@elsewhere.example>
    C: RSET
    S: 250
    S: 550
    S: 250
"""
MALFORMED = "C: RCPT\nS: 5*\n"
GOOD = """
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<user@example.com>
    C: DATA
    S: 250
    S: 250
    S: 354
    C: .
    S: 250
"""


def sessions(*transcripts, worst=-3):
    """Play one session after the other, with one store."""
    store = MemoryStore()
    for transcript in transcripts:
        play(transcript, [Karma(worst=worst)], store=store)


def test_refusals_cost_points_over_connections():
    sessions(OPEN + UNKNOWN, OPEN + UNKNOWN + MALFORMED, DEFERRED)


def test_messages_earn_points():
    sessions(OPEN + UNKNOWN + GOOD, OPEN + UNKNOWN * 3, OPEN + UNKNOWN, DEFERRED)


def test_other_clients_are_not_affected():
    store = MemoryStore()
    play(OPEN + UNKNOWN, [Karma(worst=-1)], store=store, peer=("192.0.2.7", 1))
    play(DEFERRED, [Karma(worst=-1)], store=store, peer=("192.0.2.7", 2))
    play(OPEN, [Karma(worst=-1)], store=store, peer=("192.0.2.8", 1))


def test_points_end_after_a_while():
    store = MemoryStore()
    play(OPEN + UNKNOWN, [Karma(worst=-1, keep="2d")], store=store, now="2024-01-01")
    play(DEFERRED, [Karma(worst=-1)], store=store, now="2024-01-02")
    play(OPEN, [Karma(worst=-1)], store=store, now="2024-01-03T01:00")
