"""Log lines: structured fields that no client can forge, and none at disabled levels."""

import asyncio
import logging

import pytest
import structlog
from structlog.testing import capture_logs
from tests.auth.samples import b64, plain
from tests.session.authentication import auth_config
from tests.session.dialogue import OPEN, TRAPS, config, plugin

from gatepost.model.decision import accept
from gatepost.model.facts import set_fact
from gatepost.model.session import TlsFacts
from gatepost.testing import MemoryServer, perform, play

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
    assert [one["event"] for one in logs] == ["refused", "accepted", "trap hit"]
    refused, accepted, hit = logs
    assert (hit["trap"], hit["list"]) == ("trap@example.com", "traps:1")
    assert (refused["by"], refused["reason"], refused["hook"]) == ("gatepost", "trap", "data")
    assert refused["recipients"] == ["one@example.com", "trap@example.com"]
    assert (accepted["sender"], accepted["size"]) == ("a@client.example", 6)


ENVELOPE = "C: MAIL FROM:<a@client.example>\nC: RCPT TO:<one@example.com>\nS: 250\nS: 250\n"


def accepted(content, **options):
    """Return the log line of an accepted message."""
    lines = "".join(f"C: {line}\n" for line in content.split("\n"))
    with capture_logs() as logs:
        play(f"{OPEN}{ENVELOPE}C: DATA\nS: 354\n{lines}C: .\nS: 250", config=config(), **options)
    (line,) = [one for one in logs if one["event"] == "accepted"]
    return line


@pytest.mark.parametrize(
    ("content", "message_id"),
    [
        ("Subject: x\nMessage-ID: <1@client.example>\n\ntext", "<1@client.example>"),
        ("Message-ID: " + "x" * 900 + "\n\n", "x" * 250),
        ("Subject: x\n\nMessage-ID: <1@client.example>", ""),
    ],
)
def test_the_message_id_is_logged(content, message_id):
    assert accepted(content)["message_id"] == message_id


def test_tls_and_next_hops_are_logged_if_there_are_any():
    def on_deliver(tx):
        set_fact(tx.session, "tls", TlsFacts("TLSv1.3", "x"))
        for number in range(7):
            tx.next_hops[f"smtp://192.0.2.{number}:25"] = "250 2.0.0 " + "x" * 1000
        return accept()

    line = accepted("Subject: x\n\n", plugins=[plugin(on_deliver=on_deliver)])
    assert line["tls"] == "TLSv1.3"
    assert line["next_hops_count"] == 7
    assert line["next_hops"][0] == "smtp://192.0.2.0:25: 250 2.0.0 " + "x" * 190
    line = accepted("Subject: x\n\n")
    assert not {"tls", "next_hops", "next_hops_count"} & line.keys()


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


def hits_of(transcript, **options):
    with capture_logs() as logs:
        play(OPEN + transcript, config=config(), **options)
    return [one for one in logs if one["event"] == "trap hit"]


MAIL = "C: MAIL FROM:<a@client.example>\nS: 250\n"
TRAP = "C: RCPT TO:<trap@example.com>\nS: 250\n"


def test_an_entry_has_one_line_in_a_transaction():
    again = "C: RCPT TO:<TRAP@example.com>\nS: 250\n" * 3
    other = "C: RCPT TO:<x@trapped.example.com>\nS: 250\n"
    hits = hits_of(MAIL + TRAP + again + other + "C: RSET\nS: 250\n" + MAIL + TRAP, traps=TRAPS)
    assert [(one["list"], one["hits"]) for one in hits] == [
        ("traps:1", 4),
        ("traps:3", 1),
        ("traps:1", 1),
    ]


@pytest.mark.parametrize(
    "end", ["", "C: RSET\nS: 250\n", "C: QUIT\nS: 221\n", "C: EHLO x\nS: 250\n"]
)
def test_a_trap_is_logged_however_the_transaction_ends(end):
    assert len(hits_of(MAIL + TRAP + end, traps=TRAPS)) == 1


def test_no_trap_is_logged_before_a_reply():
    async def main():
        async with MemoryServer(traps=TRAPS, config=config()) as server:
            client = server.connect()
            await perform(client, OPEN + MAIL + TRAP + "C: RSET\nS: 250\n")
            assert logs == []
            (member,) = server.connections.members
            member.sweep(server.connections.now)
            assert [one["event"] for one in logs] == ["trap hit"]
            await client.close()
            assert len(logs) == 1

    with capture_logs() as logs:
        asyncio.run(main())


def test_lists_in_a_line_are_short():
    accepted = "".join(f"C: RCPT TO:<u{one}@example.com>\nS: 250\n" for one in range(7))
    refused = "".join(f"C: RCPT TO:<u{one}@other.example>\nS: 550\n" for one in range(7))
    with capture_logs() as logs:
        play(
            OPEN + MAIL + accepted + refused + "C: DATA\nS: 354\nC: x\nC: .\nS: 250",
            config=config(),
        )
    assert [one["event"] for one in logs] == ["refused"] * 7 + ["accepted"]
    for line in logs:
        assert line["recipients"] == [f"u{one}@example.com" for one in range(5)]
        assert line["recipients_count"] == 7
    assert [one["recipient"] for one in logs[:-1]] == [f"u{one}@other.example" for one in range(7)]


def test_shadowed_traps_in_a_line_are_few():
    rcpts = "".join(f"C: RCPT TO:<u{one}@trapped.example.com>\nS: 250\n" for one in range(9))
    shadow = config(traps={"action": "shadow"})
    with capture_logs() as logs:
        play(OPEN + MAIL + rcpts + "C: DATA\nS: 354\nC: .\nS: 250", config=shadow, traps=TRAPS)
    (line,) = [one for one in logs if one["event"] == "trap shadowed"]
    assert (len(line["traps"]), line["traps_count"]) == (5, 9)
