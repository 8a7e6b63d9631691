"""Log lines: structured fields that no client can forge, and none at disabled levels."""

import logging

import pytest
import structlog
from structlog.testing import capture_logs
from tests.auth.samples import b64, plain
from tests.session.authentication import auth_config
from tests.session.dialogue import OPEN, TRAPS, config

from gatepost.testing import play

SPOILED = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<one@example.com>
    S: 250
    C: RCPT TO:<trap@example.com>
    S: 250
    C: DATA
    S: 554
"""
TAKEN = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<one@example.com>
    S: 250
    C: DATA
    S: 354
    C: text
    C: .
    S: 250
"""


def test_trap_hits_refusals_and_messages_are_logged():
    with capture_logs() as logs:
        play(OPEN + SPOILED + TAKEN, traps=TRAPS, config=config())
    assert [one["event"] for one in logs] == ["trap hit", "refused", "accepted"]
    hit, refused, accepted = logs
    assert (hit["trap"], hit["list"]) == ("trap@example.com", "traps:1")
    assert (refused["by"], refused["reason"], refused["hook"]) == ("gatepost", "trap", "data")
    assert refused["recipients"] == ["one@example.com", "trap@example.com"]
    assert (accepted["sender"], accepted["size"]) == ("a@client.example", 6)


def test_shadowed_trap_is_logged():
    with capture_logs() as logs:
        shadow = config(traps={"action": "shadow"})
        play(OPEN + SPOILED.replace("554", "354"), traps=TRAPS, config=shadow)
    assert [one["event"] for one in logs] == ["trap hit", "trap shadowed"]
    assert logs[1]["traps"] == ["trap@example.com"]


def test_nothing_is_logged_at_level_error(tmp_path):
    written = []

    class Sink:
        def __getattr__(self, name):
            return lambda *args, **fields: written.append((name, args, fields))

    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: Sink(),
    )
    login = f"C: AUTH PLAIN {b64(plain())}\nS: 235\n"
    try:
        play(OPEN + SPOILED + TAKEN, traps=TRAPS, config=config())
        play(OPEN + login, config=auth_config(tmp_path))
    finally:
        structlog.configure(**before)
    assert written == []


@pytest.mark.parametrize("helo", ["a\tb", "x\x1b[2J"])
def test_unprintable_helo_is_a_syntax_error(helo):
    play(f"S: 220\nC: EHLO {helo}\nS: 500 5.5.2 Syntax error: non-printable character\n")
