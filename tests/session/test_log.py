"""Log lines: structured fields that no client can forge, and none at disabled levels."""

import asyncio
import logging

import pytest
import structlog
from structlog.testing import capture_logs
from tests.auth.samples import b64, plain
from tests.session.authentication import auth_config
from tests.session.dialogue import OPEN, TRAPS, config, plugin

from gatepost.model.decision import accept, deny
from gatepost.model.facts import set_fact
from gatepost.model.session import TlsFacts
from gatepost.plugin.base import Installed
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
    refused, accepted = logs
    assert [one["event"] for one in logs] == ["refused", "accepted"]
    assert refused["traps"] == ["trap@example.com (traps:1)"]
    assert (refused["by"], refused["reason"], refused["hook"]) == ("gatepost", "trap", "data")
    assert refused["recipients"] == ["one@example.com", "trap@example.com"]
    assert refused["reply"].startswith("554 5.7.1 ")
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
        taken = SPOILED.replace("554", "354") + "C: .\nS: 250"
        play(OPEN + taken, traps=TRAPS, config=shadow)
    [line] = logs
    assert (line["event"], line["shadowed"]) == ("accepted", True)
    assert line["traps"] == ["trap@example.com (traps:1)"]


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
    """Return the traps of each line."""
    with capture_logs() as logs:
        play(OPEN + transcript, config=config(), **options)
    return [one["traps"] for one in logs]


MAIL = "C: MAIL FROM:<a@client.example>\nS: 250\n"
TRAP = "C: RCPT TO:<trap@example.com>\nS: 250\n"
RCPT = "C: RCPT TO:<one@example.com>\nS: 250\n"


def test_an_entry_is_named_once_in_a_transaction():
    again = "C: RCPT TO:<TRAP@example.com>\nS: 250\n" * 3
    other = "C: RCPT TO:<x@trapped.example.com>\nS: 250\n"
    hits = hits_of(MAIL + TRAP + again + other + "C: RSET\nS: 250\n" + MAIL + TRAP, traps=TRAPS)
    assert hits == [
        ["trap@example.com (traps:1)", "x@trapped.example.com (traps:3)"],
        ["trap@example.com (traps:1)"],
    ]


@pytest.mark.parametrize(
    "end", ["", "C: RSET\nS: 250\n", "C: QUIT\nS: 221\n", "C: EHLO x\nS: 250\n"]
)
def test_a_trap_is_logged_however_the_transaction_ends(end):
    assert len(hits_of(MAIL + TRAP + end, traps=TRAPS)) == 1


def test_a_trap_does_not_change_when_a_line_is_written():
    """The time of a reply would show the hit."""

    async def written(rcpt):
        counts = []
        async with MemoryServer(traps=TRAPS, config=config()) as server:
            client = server.connect()
            for step in (OPEN, MAIL, rcpt, "C: RSET\nS: 250\n"):
                before = len(logs)
                await perform(client, step)
                counts.append(len(logs) - before)
            await client.close()
        return counts

    with capture_logs() as logs:
        with_trap, without = (asyncio.run(written(one)) for one in (TRAP, RCPT))
    assert with_trap == without == [0, 0, 0, 1]
    assert ["traps" in one for one in logs] == [True, False]


def test_lists_in_a_line_are_short():
    accepted = "".join(f"C: RCPT TO:<u{one}@example.com>\nS: 250\n" for one in range(7))
    refused = "".join(f"C: RCPT TO:<u{one}@other.example>\nS: 550\n" for one in range(7))
    with capture_logs() as logs:
        play(
            OPEN + MAIL + accepted + refused + "C: DATA\nS: 354\nC: x\nC: .\nS: 250",
            config=config(),
        )
    [line] = logs
    assert line["recipients"] == [f"u{one}@example.com" for one in range(5)]
    assert line["recipients_count"] == line["refused_count"] == 7
    refused = [one.partition(":")[0] for one in line["refused"]]
    assert refused == [f"u{one}@other.example" for one in range(5)]
    assert line["refused_for"] == ["relay-denied"]


def test_counts_are_those_of_all_recipients():
    """The record has the first hundred only."""
    accepted = "".join(f"C: RCPT TO:<u{one}@example.com>\nS: 250\n" for one in range(120))
    refused = "C: RCPT TO:<x@other.example>\nS: 550\n" * 6
    [line] = lines_of(MAIL + accepted + refused + CONTENT, limits={"recipients": 200})
    assert (line["recipients_count"], line["refused_count"]) == (120, 6)


def test_traps_in_a_line_are_few():
    traps = [f"t{one}@example.com" for one in range(9)]
    rcpts = "".join(f"C: RCPT TO:<{one}>\nS: 250\n" for one in traps)
    [found] = hits_of(MAIL + rcpts + "C: DATA\nS: 554", traps=traps)
    assert found == [f"t{one}@example.com (traps:{one + 1})" for one in range(5)]


# What is in the line of a transaction

CONTENT = "C: DATA\nS: 354\nC: x\nC: .\nS: 250\n"


def lines_of(transcript, plugins=(), **options):
    with capture_logs() as logs:
        play(OPEN + transcript, plugins, config=config(**options))
    return logs


def test_all_recipients_refused_have_the_result_of_the_last():
    foreign = "C: RCPT TO:<x@other.example>\nS: 550\n"
    [line] = lines_of(MAIL + foreign + "C: QUIT\nS: 221\n")
    assert (line["event"], line["hook"], line["by"]) == ("refused", "rcpt", "gatepost")
    assert (line["reason"], line["recipients"]) == ("relay-denied", [])
    assert "refused_for" not in line


def test_a_refused_mail_has_one_line():
    mine = plugin(name="mine", on_mail=lambda *_: deny(reason="why"))
    [line] = lines_of("C: MAIL FROM:<a@b.example>\nS: 550\n", [mine])
    assert (line["event"], line["hook"], line["by"], line["reason"]) == (
        *("refused", "mail", "mine"),
        "why",
    )
    assert line["sender"] == "a@b.example"


def test_the_faults_of_an_accepted_transaction_are_counted():
    [line] = lines_of(MAIL + "C: FOO\nS: 500\n" * 2 + RCPT + CONTENT)
    assert (line["event"], line["faults"]) == ("accepted", 2)


def test_a_fault_that_is_the_result_is_not_counted():
    text = "C: DATA\nS: 354\nC: a\x00b\nC: .\nS: 550\n"
    [line] = lines_of(MAIL + RCPT + text)
    assert (line["event"], line["by"]) == ("refused", "protocol")
    assert "faults" not in line
    assert "hook" not in line


def test_an_empty_transaction_has_no_line():
    assert lines_of((MAIL + "C: RSET\nS: 250\n") * 3) == []


def test_an_opinion_in_shadow_mode_is_in_the_line():
    made = plugin(name="mine", on_data=lambda *_: deny(reason="why"))
    bare = plugin(name="bare", on_data=lambda *_: deny())
    shadow = [Installed(one.plugin, shadow=True) for one in (made, bare)]
    [line] = lines_of(MAIL + RCPT + CONTENT, shadow)
    assert line["would"] == ["deny why (mine, data)", "deny (bare, data)"]
    assert line["event"] == "accepted"


def test_the_null_sender_is_shown():
    [line] = lines_of("C: MAIL FROM:<>\nS: 250\n" + RCPT + CONTENT)
    assert line["sender"] == "<>"


def test_results_of_plugins_are_in_the_line():
    def on_data(tx):
        tx.results.add("spf", "fail", domain="client.example")

    [line] = lines_of(MAIL + RCPT + CONTENT, [plugin(on_data=on_data)])
    assert line["results"] == ["spf=fail domain=client.example"]


def test_a_failed_tls_handshake_is_logged():
    async def main():
        async with MemoryServer(config=config()) as server:
            client = server.connect()
            await client.reply()
            client._connection.tls_failed("bad record")
            await client.close()

    with capture_logs() as logs:
        asyncio.run(main())
    (line,) = [one for one in logs if one["event"] == "TLS failed"]
    assert line["problem"] == "bad record"
