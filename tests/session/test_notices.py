"""Notifications of what no hook has, and the method that follows every hook."""

import asyncio
from ipaddress import ip_network

import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import OPEN, TRAPS, config, plugin

from gatepost.config.schema import SmtpConfig
from gatepost.model.decision import accept, deny
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import TlsFacts
from gatepost.plugin import notifier
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.hooks import FACTS, HOOKS
from gatepost.plugin.scope import Conditions, Scope
from gatepost.server.memory import MemoryServer
from gatepost.session.notices import NoticeRecorder
from gatepost.session.recorder import Recorder
from gatepost.testing import perform, play

PEER = ("192.0.2.1", 50000)


def noting(seen, notification, **options):
    """Return a plugin whose method of a notification keeps its arguments."""
    return plugin(**{f"on_{notification}": lambda *args: seen.append(args)}, **options)


def run(scenario, *plugins, **options):
    async def main():
        async with MemoryServer(plugins, **options) as server:
            await scenario(server)

    asyncio.run(main())


def test_a_fault_has_the_reply_and_its_reference():
    seen = []
    lines = "C: MAIL FROM\nS: 501\nC: DATA\nS: 503\nC: MAIL FROM:<>\nS: 250\nC: DATA\nS: 554\n"
    play(OPEN + lines, [noting(seen, "fault")])
    assert [reply.code for _, _, reply in seen] == [501, 503, 554]
    assert [tx is None for _, tx, _ in seen] == [True, True, False]
    for session, tx, reply in seen:
        assert reply.reference == (session.id if tx is None else tx.id)


def test_limits_of_a_session_and_of_connections():
    seen = []

    async def scenario(server):
        client = server.connect()
        await perform(client, OPEN + "C: X Y\nS: 500\nC: DATA\nS: 421\n")
        first, second = server.connect(), server.connect()
        await perform(first, "S: 220")
        await perform(second, "S: 421")
        await client.close()

    limits = {"errors": 2, "connections": 2}
    run(scenario, noting(seen, "limit"), config=config(limits=limits))
    assert [(str(peer.host), limit) for peer, limit, _ in seen] == [
        ("192.0.2.1", "errors"),
        ("192.0.2.1", "connections"),
    ]
    assert all(reply.code == 421 and reply.reference for _, _, reply in seen)


def test_a_shutdown_is_no_limit():
    seen = []

    async def scenario(server):
        await perform(server.connect(), OPEN)
        await server.connections.drain(0)
        await perform(server.connect(), "S: 421")

    run(scenario, noting(seen, "limit"))
    assert seen == []


def test_a_time_out():
    seen = []

    async def scenario(server):
        await perform(server.connect(), OPEN)
        for connection in tuple(server.connections.members):
            connection.sweep(server.connections.now + 10_000)

    run(scenario, noting(seen, "timeout"))
    assert [(session.helo, limit) for session, limit in seen] == [
        ("client.example", "command_timeout")
    ]


def test_an_early_talker():
    seen = []

    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO x\r\n")
        assert (await client.reply()).startswith("554")

    run(scenario, noting(seen, "early_talker"), config=config(smtp=SmtpConfig(greeting_delay=5.0)))
    ((session, reply),) = seen
    assert (session.peer.host, reply.code) == (PEER[0], 554)


def test_tls_and_its_failure():
    seen, failed = [], []

    async def scenario(server):
        client = server.connect()
        await perform(client, "S: 220")
        client._connection._engine.start_tls(TlsFacts("TLSv1.3", "C"))
        client._connection.tls_failed("bad record")
        await client.close()

    run(scenario, noting(seen, "tls", name="a"), noting(failed, "tls_failed", name="b"))
    assert seen[0][0].tls.version == "TLSv1.3"
    assert failed[0][1] == "bad record"


def test_every_other_fact_reaches_the_recorder_of_the_server():
    class Collecting(Recorder):
        detailed = True

        def __init__(self):
            self.facts = []

        def decided(self, session, tx, decided, reply):
            self.facts.append(decided.hook)

        def command_fault(self, session, tx, reply):
            self.facts.append("fault")

    recorder, seen = Collecting(), []

    async def scenario(server):
        assert isinstance(server.setup.recorder, NoticeRecorder)
        await perform(server.connect(), OPEN + "C: DATA\nS: 503\nC: NOOP\nS: 250\n")

    run(scenario, noting(seen, "fault"), recorder=recorder)
    assert recorder.facts == ["connect", "ehlo", "helo", "fault", "noop"]
    assert len(seen) == 1


def test_without_such_a_plugin_the_recorder_is_not_replaced():
    recorder = Recorder()

    async def scenario(server):
        assert server.setup.recorder is recorder

    run(scenario, plugin(on_disconnect=lambda _session: None), recorder=recorder)


@pytest.mark.parametrize("name", FACTS)
def test_each_is_declared_with_its_arguments(name):
    seen = []
    host_recorder = Recorder()

    async def scenario(server):
        recorder = server.setup.recorder
        session, peer = server.connect()._connection.talk.session, Endpoint("192.0.2.1")
        reply = object()
        calls = {
            "fault": lambda: recorder.command_fault(session, None, reply),
            "timeout": lambda: recorder.timed_out(session, None, "x", None),
            "limit": lambda: recorder.connection_refused("", peer, "x", reply),
            "tls": lambda: recorder.tls_established(session),
            "tls_failed": lambda: recorder.tls_failed(session, "x"),
            "early_talker": lambda: recorder.early_talker(session, reply),
        }
        calls[name]()

    run(scenario, noting(seen, name), recorder=host_recorder)
    assert len(seen) == 1


def test_a_failure_is_logged_and_changes_nothing():
    with capture_logs() as logs:
        play(OPEN + "C: DATA\nS: 503\nC: NOOP\nS: 250\n", [plugin(on_fault=lambda *_: 1 / 0)])
    (line,) = [one for one in logs if one["event"] == "plugin failed"]
    assert (line["method"], line["peer"]) == ("on_fault", "192.0.2.1:50000")


def test_a_failure_about_a_refused_connection_names_the_client():
    async def scenario(server):
        first, second = server.connect(), server.connect()
        await perform(second, "S: 421")
        await first.close()

    with capture_logs() as logs:
        broken = plugin(on_limit=lambda *_: 1 / 0)
        run(scenario, broken, config=config(limits={"connections": 1}))
    (line,) = [one for one in logs if one["event"] == "plugin failed"]
    assert line["peer"] == "192.0.2.1:50000"


class Slow(Plugin):
    """Waits until the test lets it continue."""

    def __init__(self):
        super().__init__()
        self.go, self.done, self.began = asyncio.Event(), 0, 0

    async def on_fault(self, session, tx, reply):
        self.began += 1
        await self.go.wait()
        self.done += 1


def test_no_session_waits_for_a_slow_notification():
    async def main():
        slow = Slow()
        async with MemoryServer([slow]) as server:
            await perform(server.connect(), OPEN + "C: DATA\nS: 503\nC: NOOP\nS: 250\n")
            assert (slow.began, slow.done) == (1, 0)
            slow.go.set()
            for _ in range(100):
                await asyncio.sleep(0)
            assert slow.done == 1

    asyncio.run(main())


def test_notifications_that_wait_are_cancelled_at_the_end():
    async def main():
        slow = Slow()
        async with MemoryServer([slow]) as server:
            await perform(server.connect(), OPEN + "C: DATA\nS: 503\n")
        assert (slow.began, slow.done) == (1, 0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_flood_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(notifier, "PENDING", 3)

    async def main():
        slow = Slow()
        async with MemoryServer([slow], config=config(limits={"soft_errors": 50})) as server:
            await perform(server.connect(), OPEN + "C: DATA\nS: 503\n" * 7)
            assert slow.began == 3
            assert server.setup.plugins.notifier.dropped == 3  # the first was logged

    with capture_logs() as logs:
        asyncio.run(main())
    dropped = [one for one in logs if one["event"] == "plugin notifications dropped"]
    assert [one["count"] for one in dropped] == [1]


def test_a_scope_applies():
    seen, within = [], []
    other = Scope(only=Conditions(networks=[ip_network("198.51.100.0/24")]))
    here = Scope(only=Conditions(networks=[ip_network("192.0.2.0/24")]))

    async def scenario(server):
        first, second = server.connect(), server.connect()
        await perform(second, "S: 421")
        await first.close()

    plugins = [
        Installed(noting(seen, "limit").plugin, scope=other),
        Installed(noting(within, "limit", name="b").plugin, scope=here),
    ]
    run(scenario, *plugins, config=config(limits={"connections": 1}))
    assert (len(seen), len(within)) == (0, 1)


# after_any

BODY = "C: DATA\nS: 354\nC: Subject: x\nC:\nC: text\nC: .\nS: 250\n"
MAIL = "C: MAIL FROM:<a@client.example>\nS: 250\n"
RCPT = "C: RCPT TO:<one@example.com>\nS: 250\n"


def following(seen, name="any"):
    return plugin(after_any=lambda *args: seen.append(args), name=name)


def test_the_method_follows_every_hook():
    seen = []
    others = (
        "C: NOOP\nS: 250\nC: VRFY x\nS: 252\nC: HELP\nS: 214\nC: WIZ\nS: 500\nC: QUIT\nS: 221\n"
    )
    play(OPEN + MAIL + RCPT + BODY + others, [following(seen)])
    assert [hook for hook, *_ in seen] == [
        "connect", "ehlo", "helo", "mail", "rcpt", "data", "headers", "message", "deliver",
        "noop", "vrfy", "help", "unknown_command", "quit",
    ]  # fmt: skip
    assert {hook for hook, *_ in seen} == set(HOOKS) - {"auth", "command"}
    codes = {hook: outcome.reply.code for hook, _, _, outcome in seen}
    assert (codes["connect"], codes["data"], codes["unknown_command"]) == (220, 354, 500)
    for hook, session, tx, _ in seen:
        assert session.peer == Endpoint(*PEER)
        in_transaction = hook in ("mail", "rcpt", "data", "headers", "message", "deliver")
        assert (tx is not None) == in_transaction


def test_the_outcome_has_the_author_and_those_that_were_asked():
    seen = []
    silent = plugin(on_mail=lambda _tx, _sender: None, name="silent")
    first = plugin(on_mail=lambda _tx, _sender: deny("no"), name="first")
    last = plugin(on_mail=lambda _tx, _sender: accept(), name="last")
    play(OPEN + MAIL.replace("250", "550"), [following(seen), silent, first, last])
    hook, _, tx, outcome = seen[-1]
    assert (hook, str(tx.reverse_path)) == ("mail", "a@client.example")
    assert (outcome.answer.by, outcome.reply.code) == ("first", 550)
    assert [one.plugin for one in outcome.asked] == ["silent", "first"]
    assert all(one.seconds >= 0 for one in outcome.asked)


def test_the_refusals_of_the_core_are_followed():
    seen = []
    play(OPEN + MAIL + "C: RCPT TO:<x@elsewhere.example>\nS: 550\n", [following(seen)])
    assert (seen[-1][0], seen[-1][3].answer.by) == ("rcpt", "gatepost")
    trapped = f"C: RCPT TO:<{TRAPS[0]}>\nS: 250\nC: DATA\nS: 554\n"
    play(OPEN + MAIL + trapped, [following(seen)], traps=TRAPS)
    assert (seen[-1][0], seen[-1][3].answer.decision.reason) == ("data", "trap")


def test_a_command_within_a_transaction_has_it():
    seen = []
    play(OPEN + MAIL + "C: NOOP\nS: 250\n", [following(seen)])
    hook, _, tx, _ = seen[-1]
    assert (hook, str(tx.reverse_path)) == ("noop", "a@client.example")


def test_the_recorder_gets_no_more_facts_than_before():
    class Collecting(Recorder):
        facts = 0

        def decided(self, session, tx, decided, reply):
            Collecting.facts += 1

    run(perform_open, following([]), recorder=Collecting())
    assert Collecting.facts == 0


async def perform_open(server):
    await perform(server.connect(), OPEN + MAIL)


def test_a_failure_there_changes_nothing():
    play(OPEN + MAIL, [plugin(after_any=lambda *_: 1 / 0)])


def test_methods_of_one_hook_have_no_times_without_it():
    seen = []
    one = plugin(on_mail=lambda *_: None, after_mail=lambda _t, _s, outcome: seen.append(outcome))
    play(OPEN + MAIL, [one])
    assert seen[0].asked == ()


def test_a_scope_applies_to_it():
    seen = []
    scoped = Installed(following(seen).plugin, scope=Scope(listen=frozenset({"other"})))
    play(OPEN + MAIL, [scoped])
    assert seen == []
