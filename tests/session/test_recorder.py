"""The recorder: every fact of a connection reaches it, in order, and once."""

import asyncio
import inspect

import pytest
from tests.session.dialogue import OPEN, TRAPS, config, plugin

from gatepost.config.schema import SmtpConfig
from gatepost.model.decision import accept, deny
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.memory import MemoryServer
from gatepost.session.recorder import Recorder, forward_others, implements
from gatepost.testing import perform

DEFAULT = config()
METHODS = [name for name, _ in inspect.getmembers(Recorder, inspect.isfunction)]
MAIL = """
    C: MAIL FROM:<a@client.example>
    S: 250
"""
MESSAGE = """
    C: RCPT TO:<one@example.com>
    S: 250
    C: DATA
    S: 354
    C: text
    C: .
    S: 250
"""


def collecting(*, detailed=False):
    """Return a recorder that keeps (method, arguments) of every call in `facts`."""

    def method(name):
        return lambda self, *args, **more: self.facts.append((name, (*args, *more.values())))

    made = type("Collecting", (Recorder,), {name: method(name) for name in METHODS})()
    made.detailed, made.facts = detailed, []
    return made


def facts(transcript, plugins=(), *, detailed=False, config=DEFAULT, seconds=0, peers=1):
    """Play a transcript, let `seconds` pass, and return the facts."""
    recorder = collecting(detailed=detailed)

    async def main():
        clock = VirtualClock()
        async with MemoryServer(
            plugins, traps=TRAPS, config=config, clock=clock, recorder=recorder
        ) as server:
            clients = [server.connect() for _ in range(peers)]
            await perform(clients[0], transcript)
            for connection in tuple(server.connections.members):
                connection.sweep(server.connections.now + seconds)
            for client in clients:
                await client.close()

    asyncio.run(main())
    return recorder.facts


def names(*args, **options):
    return [name for name, _ in facts(*args, **options)]


def test_an_accepted_message():
    found = names(OPEN + MAIL + MESSAGE)
    # The decision is that of the plugin that keeps messages in memory.
    assert found == [
        "connection_opened",
        "decided",
        "accepted",
        "transaction_ended",
        "connection_closed",
    ]


def test_a_trap_and_the_refusal_it_leads_to():
    spoiled = f"C: RCPT TO:<{TRAPS[0]}>\nS: 250\nC: DATA\nS: 554\n"
    found = facts(OPEN + MAIL + spoiled)
    assert [name for name, _ in found[1:-1]] == ["decided", "transaction_ended", "traps_hit"]
    (tx,) = found[3][1]
    assert [str(hit.address) for hit in tx.trap_hits] == [TRAPS[0]]
    _, of_decision, decided, reply = found[1][1]
    assert (of_decision, decided.hook, decided.answer.decision.reason) == (tx, "data", "trap")
    assert reply.code == 554


def test_a_trap_in_shadow_mode():
    shadow = config(traps={"action": "shadow"})
    spoiled = f"C: RCPT TO:<{TRAPS[0]}>\nS: 250\nC: DATA\nS: 354\nC: .\nS: 250\n"
    found = names(OPEN + MAIL + spoiled, config=shadow)
    assert found[1:-1] == ["decided", "accepted", "transaction_ended", "traps_hit", "trap_shadowed"]


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b", "RCPT TO:<one@example.com>", "GET / HTTP/1.0"])
def test_a_malformed_or_misplaced_command(line):
    found = facts(OPEN + f"C: {line}\nS: {'554' if 'HTTP' in line else '50*'}\n")
    assert [name for name, _ in found][1:-1] == ["command_fault"]
    assert found[1][1][2].code >= 500


def test_content_that_is_not_pure_is_a_fault_of_its_transaction():
    recorder = collecting()

    async def main():
        async with MemoryServer(config=config(), recorder=recorder) as server:
            client = server.connect()
            await perform(client, OPEN + MAIL + "C: RCPT TO:<one@example.com>\nS: 250\n")
            client.send(b"DATA\r\na\rb\r\n.\r\n")
            assert [(await client.reply())[:3] for _ in range(2)] == ["354", "550"]
            await client.close()

    asyncio.run(main())
    [(_, (_, tx, _))] = [one for one in recorder.facts if one[0] == "command_fault"]
    assert tx is not None


def test_too_many_errors():
    found = facts(OPEN + "C: FOO\nS: 421\n", config=config(limits={"errors": 1}))
    [(_, (_, _, limit, reply))] = [one for one in found if one[0] == "limit_reached"]
    assert (limit, reply.code) == ("errors", 421)


@pytest.mark.parametrize(
    ("transcript", "limit"), [(OPEN, "command_timeout"), (OPEN + MAIL, "command_timeout")]
)
def test_a_time_out(transcript, limit):
    found = facts(transcript, seconds=400)
    [(_, (_, tx, found_limit, reply))] = [one for one in found if one[0] == "timed_out"]
    assert (found_limit, reply.code) == (limit, 421)
    assert (tx is None) == (MAIL not in transcript)


def test_a_connection_over_the_limit():
    found = facts(OPEN, config=config(limits={"connections": 1}), peers=2)
    [(_, (ref, peer, limit, reply))] = [one for one in found if one[0] == "connection_refused"]
    assert (str(peer), limit, reply.code) == ("192.0.2.1:50000", "connections", 421)
    assert reply.reference == ref


def test_an_early_talker():
    recorder = collecting()
    made = config(smtp=SmtpConfig(greeting_delay=3.0))

    async def main():
        async with MemoryServer(config=made, recorder=recorder) as server:
            client = server.connect()
            client.send(b"EHLO x\r\n")
            assert (await client.reply())[:3] == "554"
            await client.close()

    asyncio.run(main())
    assert [name for name, _ in recorder.facts][1] == "early_talker"


def test_decisions_of_plugins_are_recorded_without_detail():
    plugins = [plugin(name="mine", on_mail=lambda *_: deny(reason="why"))]
    found = facts(OPEN + "C: MAIL FROM:<a@b>\nS: 550\n", plugins)
    [(_, (_, _, decided, _))] = [one for one in found if one[0] == "decided"]
    assert (decided.hook, decided.answer.by, decided.answer.decision.reason) == (
        "mail",
        "mine",
        "why",
    )
    assert decided.asked == ()


def test_an_acceptance_is_a_decision_too():
    plugins = [plugin(name="mine", on_mail=lambda *_: accept())]
    found = facts(OPEN + MAIL, plugins)
    assert [args[2].answer.by for name, args in found if name == "decided"] == ["mine"]


def test_a_detailed_recorder_gets_every_hook_and_the_plugins_that_were_asked():
    first = plugin(name="first", on_rcpt=lambda *_: None)
    second = plugin(name="second", on_rcpt=lambda *_: None)
    found = facts(OPEN + MAIL + MESSAGE, [first, second], detailed=True)
    decided = [args[2] for name, args in found if name == "decided"]
    hooks = ["connect", "ehlo", "helo", "mail", "rcpt", "data", "message", "deliver"]
    assert [one.hook for one in decided] == hooks
    [rcpt] = [one for one in decided if one.hook == "rcpt"]
    assert [one.plugin for one in rcpt.asked] == ["first", "second"]
    assert all(one.seconds >= 0 and one.answer is None for one in rcpt.asked)


def test_a_recorder_implements_the_facts_that_it_has_a_method_for():
    class Own(Recorder):
        def accepted(self, tx, reply):
            pass

    class Outer(Recorder):
        pass

    outer = Outer()
    forward_others(outer, Own())
    assert implements(Own(), "accepted")
    assert not implements(Own(), "transaction_ended")
    assert not implements(Recorder(), "accepted")
    assert implements(outer, "accepted")
