"""The records of connections and transactions: their contents, and that none is left out."""

import asyncio

import pytest
from tests.session.dialogue import OPEN, TRAPS, config, plugin

from gatepost import Plugin
from gatepost.config.schema import LedgerConfig, SmtpConfig
from gatepost.ledger import records as r
from gatepost.ledger.privacy import Privacy
from gatepost.model.decision import accept, defer, deny
from gatepost.model.endpoint import Endpoint
from gatepost.plugin.base import Installed
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.memory import MemoryServer
from gatepost.session.assemble import SetupError
from gatepost.session.recorder import Recorder
from gatepost.session.recording import REFUSALS_PER_SECOND, RecordMaker
from gatepost.testing import perform

DEFAULT = config()
MAIL = "C: MAIL FROM:<a@client.example>\nS: 250\n"
RCPT = "C: RCPT TO:<one@example.com>\nS: 250\n"
TRAP = f"C: RCPT TO:<{TRAPS[0]}>\nS: 250\n"
CONTENT = (
    "C: DATA\nS: 354\nC: Subject: =?utf-8?q?x?=\nC: From: A <a@b.example>\nC:\nC: text\nC: .\n"
)
QUIT = "C: QUIT\nS: 221\n"


def kept(transcript, plugins=(), *, config=DEFAULT, seconds=0, peers=1):
    """Play a transcript, let `seconds` pass, and return the records as they are encoded."""
    records = []

    async def main():
        async with MemoryServer(
            plugins, traps=TRAPS, config=config, clock=VirtualClock(), records=records.append
        ) as server:
            clients = [server.connect() for _ in range(peers)]
            await perform(clients[0], transcript)
            for connection in tuple(server.connections.members):
                connection.sweep(server.connections.now + seconds)
            for client in clients:
                await client.close()

    asyncio.run(main())
    return [r.decode(r.encode(one)) for one in records]


def transaction(*arguments, **options):
    [found] = [one for one in kept(*arguments, **options) if type(one) is r.Transaction]
    return found


def connection(*arguments, **options):
    [found] = [one for one in kept(*arguments, **options) if type(one) is r.Connection]
    return found


@pytest.mark.parametrize(
    ("value", "name"), [("pass", "mx.client.example"), ("fail", ""), ("permerror", "")]
)
def test_a_client_has_the_name_that_a_plugin_has_confirmed(value, name):
    class Confirm(Plugin):
        def on_helo(self, session, _helo):
            session.results.add("iprev", value, name="mx.client.example")

    assert connection(OPEN, [Confirm()]).client.name == name


def test_an_accepted_message():
    first, second = kept(OPEN + MAIL + RCPT + CONTENT + "S: 250\n" + QUIT)
    assert (first.result, first.reply) == ("accepted", f"250 2.0.0 Ok, {first.ref}")
    assert (first.sender, first.session) == ("a@client.example", second.ref)
    assert first.recipients == [r.RecipientRecord("one@example.com")]
    assert (first.header_from, first.subject) == ("A <a@b.example>", "=?utf-8?q?x?=")
    assert first.size == 55
    assert first.client.address == "192.0.2.1"
    assert first.client.helo == "client.example"
    assert (second.end, second.messages, second.transactions) == ("quit", 1, 1)
    assert second.received > 100
    assert second.sent > 100


def test_a_message_refused_for_a_trap():
    found = transaction(OPEN + MAIL + RCPT + TRAP + "C: DATA\nS: 554\n")
    assert (found.result, found.by, found.reason) == ("refused", "gatepost", "trap")
    assert found.reply.endswith(f"[{found.ref}]")
    assert found.traps == [r.Trap(TRAPS[0], TRAPS[0], "traps", 1, treatment="refuse all")]
    assert [one.result for one in found.recipients] == ["refused", "refused"]
    [answer] = found.answers
    assert (answer.hook, answer.verdict) == ("data", "deny")


def test_a_trap_in_shadow_mode():
    shadow = config(traps={"action": "shadow"})
    found = transaction(OPEN + MAIL + TRAP + CONTENT + "S: 250\n", config=shadow)
    assert (found.result, found.shadowed, found.traps_count) == ("accepted", True, 1)


@pytest.mark.parametrize(
    ("hook", "lines", "result"),
    [
        ("on_data", "C: DATA\nS: 4\n", "deferred"),
        ("on_headers", CONTENT + "S: 4\n", "deferred"),
        ("on_message", CONTENT + "S: 4\n", "deferred"),
        ("on_deliver", CONTENT + "S: 4\n", "deferred"),
    ],
)
def test_a_message_that_a_plugin_defers(hook, lines, result):
    mine = plugin(name="mine", **{hook: lambda *_: defer(reason="why")})
    found = transaction(OPEN + MAIL + RCPT + lines.replace("S: 4\n", "S: 45*\n"), [mine])
    assert (found.result, found.by, found.reason) == (result, "mine", "why")
    assert found.answers[-1].seconds > 0
    assert found.answers[-1].reply == found.reply


def test_refused_recipients_have_their_replies():
    found = transaction(OPEN + MAIL + RCPT + "C: RCPT TO:<x@foreign.example>\nS: 550\n")
    assert found.result == "abandoned"
    assert [one.result for one in found.recipients] == ["abandoned", "refused"]
    assert found.recipients[1].reply.startswith("550 5.7.1 ")
    [answer] = found.answers
    assert (answer.about, answer.reason) == ("x@foreign.example", "relay-denied")


def test_a_refused_mail_is_a_transaction_with_the_reference_of_the_connection():
    mine = plugin(name="mine", on_mail=lambda *_: deny(reason="why"))
    first, second = kept(OPEN + "C: MAIL FROM:<a@b.example>\nS: 550\n", [mine])
    assert first.ref == first.session == second.ref
    assert (first.result, first.sender, first.reason) == ("refused", "a@b.example", "why")
    assert second.faults == 1
    assert first.hook == "mail"


def test_refusals_of_transactions_count_for_the_connection():
    first, second = kept(OPEN + "C: FOO\nS: 500\n" + MAIL + "C: FOO\nS: 500\n" + RCPT)
    assert (first.faults, second.faults) == (1, 2)
    assert [len(one.answers) for one in (first, second)] == [1, 1]


def test_a_refusal_at_helo_has_the_name():
    mine = plugin(name="mine", on_helo=lambda *_: deny(reason="why"))
    found = connection("S: 220\nC: EHLO bad.example\nS: 550\n", [mine])
    [answer] = found.answers
    assert (answer.hook, answer.about, found.client.helo) == ("helo", "bad.example", "")


def test_opinions_that_accept_are_kept():
    mine = plugin(name="mine", on_rcpt=lambda *_: accept(reason="friend"))
    found = transaction(OPEN + MAIL + "C: RCPT TO:<one@example.com>\nS: 250\n", [mine])
    [answer] = found.answers
    assert (answer.verdict, answer.by, answer.reason) == ("accept", "mine", "friend")


def test_opinions_in_shadow_mode_are_kept():
    made = plugin(name="mine", on_data=lambda *_: deny(reason="why"))
    mine = Installed(made.plugin, shadow=True)
    found = transaction(OPEN + MAIL + RCPT + CONTENT + "S: 250\n", [mine])
    [answer] = [one for one in found.answers if one.shadow]
    assert (answer.hook, answer.by, answer.reason, answer.shadow) == ("data", "mine", "why", True)
    assert found.result == "accepted"


def test_a_refused_connection():
    mine = plugin(name="mine", on_connect=lambda *_: deny(reason="why"))
    found = connection("S: 554\n", [mine])
    assert (found.end, found.faults) == ("refused", 1)
    assert [one.reason for one in found.answers] == ["why"]


def test_protocol_errors_and_limits():
    found = connection(OPEN + "C: FOO\nS: 421\n", config=config(limits={"errors": 1}))
    assert found.end == "errors"
    assert [(one.by, one.reason) for one in found.answers] == [
        ("protocol", "protocol-error"),
        ("limits", "errors"),
    ]


def test_a_message_that_the_protocol_refuses():
    async def main():
        records = []
        async with MemoryServer(config=DEFAULT, records=records.append) as server:
            client = server.connect()
            await perform(client, OPEN + MAIL + RCPT)
            client.send(b"DATA\r\na\rb\r\n.\r\n")
            assert [(await client.reply())[:3] for _ in range(2)] == ["354", "550"]
            await client.close()
        return records[0]

    found = asyncio.run(main())
    assert (found.result, found.by, found.reason) == ("refused", "protocol", "protocol-error")


def test_a_time_out_ends_the_connection_and_abandons_the_transaction():
    first, second = kept(OPEN + MAIL + RCPT, seconds=400)
    assert (first.result, [one.reason for one in first.answers]) == (
        "abandoned",
        ["command_timeout"],
    )
    assert second.end == "command_timeout"


def test_an_empty_transaction_has_no_record():
    found = kept(OPEN + (MAIL + "C: RSET\nS: 250\n") * 3)
    assert [type(one) for one in found] == [r.Connection]
    assert found[0].transactions == 3


def test_an_early_talker():
    records = []

    async def main():
        made = config(smtp=SmtpConfig(greeting_delay=3.0))
        async with MemoryServer(config=made, records=records.append) as server:
            client = server.connect()
            client.send(b"EHLO x\r\n")
            assert (await client.reply())[:3] == "554"
            await client.close()

    asyncio.run(main())
    assert records[0].end == "early-talker"


def test_connections_over_the_limit_are_counted_and_some_have_a_record():
    records = []
    clock = VirtualClock()

    async def main():
        made = config(limits={"connections": 1})
        async with MemoryServer(config=made, records=records.append, clock=clock) as server:
            server.connect()
            for _ in range(REFUSALS_PER_SECOND + 7):
                server.connect()
            clock.move_to(clock.time() + 1)
            server.connect()

    asyncio.run(main())
    refused = [one for one in records if one.end == "connections"]
    assert len(refused) == REFUSALS_PER_SECOND + 1
    assert refused[-1].repeated == 7
    assert refused[0].answers[0].by == "limits"
    assert refused[0].reply.endswith(f"[{refused[0].ref}]")


def test_what_privacy_leaves_out(tmp_path):
    ledger = LedgerConfig(privacy=["subject", "from", "message-id", "addresses"])
    made = config(ledger=ledger, base=tmp_path)
    content = CONTENT.replace("C: From", "C: Message-ID: <secret@b.example>\nC: From")
    lines = OPEN + MAIL + RCPT + "C: RCPT TO:<x@foreign.example>\nS: 550\n" + content + "S: 250\n"
    found = kept(lines, config=made)
    text = " ".join(map(str, map(r.to_dict, found)))
    for secret in ("one@", "'a@client", "x@foreign", "secret", "Subject", "utf-8"):
        assert secret not in text
    assert "@example.com" in text


def test_addresses_in_results_of_plugins_are_left_out_too(tmp_path):
    class Finds(Plugin):
        def on_mail(self, tx, sender):
            tx.results.add("spf", "fail", mailfrom=str(sender), score=2, reason="-all")

    made = config(ledger=LedgerConfig(privacy=["addresses"]), base=tmp_path)
    record = transaction(OPEN + MAIL + RCPT + QUIT, [Finds()], config=made)
    (found,) = record.results
    assert (found.name, found.value, found.score, found.reason) == ("spf", "fail", 2.0, "-all")
    assert found.facts["mailfrom"].endswith("@client.example")
    assert "'a@client" not in str(r.to_dict(record))


def test_hooks_without_an_opinion_are_not_recorded():
    class Detailed(Recorder):
        detailed = True

    records = []

    async def main():
        options = {"records": records.append, "recorder": Detailed()}
        async with MemoryServer(config=DEFAULT, **options) as server:
            client = server.connect()
            await perform(client, OPEN + QUIT)
            await client.close()

    asyncio.run(main())
    [found] = records
    assert list(found.answers) == []


def test_a_key_that_cannot_be_made_is_an_error_at_start(tmp_path):
    (tmp_path / "var").write_text("no folder")
    made = config(ledger=LedgerConfig(privacy=["addresses"]), base=tmp_path)
    with pytest.raises(SetupError, match=r"^ledger: .*var"):
        kept(OPEN, config=made)


def test_no_story_stays_after_the_end():
    made = []

    async def main():
        async with MemoryServer(config=DEFAULT, records=lambda _: None) as server:
            made.append(server.setup.recorder)
            client = server.connect()
            await perform(client, OPEN + MAIL + RCPT + "C: FOO\nS: 500\nC: RSET\nS: 250\n")
            await client.close()

    asyncio.run(main())
    assert made[0]._stories == {}


def test_a_connection_without_a_valid_proxy_header():
    records = []
    maker = RecordMaker(Recorder(), records.append, lambda: 5.0, Privacy(()))
    maker.proxy_refused("ref-1", Endpoint("192.0.2.9", 4711), "no header")
    [found] = records
    assert (found.end, found.client.address) == ("proxy-refused", "192.0.2.9")


def test_a_recipient_that_a_plugin_has_replaced_is_recorded():
    aliases = plugin(
        on_rcpt=lambda tx, rcpt: tx.replace_recipient(rcpt, ["a@example.com"]) and None
    )
    found = transaction(OPEN + MAIL + RCPT + CONTENT + "S: 250\n" + QUIT, [aliases])
    assert [one.address for one in found.recipients] == ["a@example.com"]
    assert found.replaced == ["one@example.com"]


def test_addresses_in_changes_are_recorded_as_other_addresses_are(tmp_path):
    aliases = plugin(
        on_rcpt=lambda tx, rcpt: tx.replace_recipient(rcpt, ["a@example.com"]) and None
    )
    hidden = config(ledger=LedgerConfig(privacy=["addresses"]), base=tmp_path)
    found = transaction(OPEN + MAIL + RCPT + CONTENT + "S: 250\n" + QUIT, [aliases], config=hidden)
    assert found.replaced[0] in found.changes[0]
    assert b"one@" not in r.encode(found)
