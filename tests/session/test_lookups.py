"""Look-ups of recipients by plugins: the rule at RCPT, the cache, shared look-ups, failures."""

import asyncio

import pytest
from tests.session.dialogue import OPEN, TRAPS, config, plugin
from tests.waiting import until

from gatepost.config.schema import RouteConfig
from gatepost.model.decision import accept, deny
from gatepost.model.facts import set_fact
from gatepost.model.lookup import local, unknown
from gatepost.plugin import lookups
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.scope import Scope
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.memory import MemoryServer
from gatepost.session.recorder import Recorder
from gatepost.testing import perform, play

MAIL = "C: MAIL FROM:<a@client.example>\nS: 250\n"
RELAY_DENIED = "550 5.7.1 Relaying denied: not a domain of this server [*]"
NO_MAILBOX = "550 5.1.1 No such mailbox [*]"
USERS = {"one@tenant.example": local(), "gone@tenant.example": unknown("Left the company")}


def rcpt(address, line="250"):
    return f"C: RCPT TO:<{address}>\nS: {line}\n"


class Directory(Plugin):
    """Has the mailboxes of tenant.example, and keeps what it is asked."""

    def __init__(self, **answers):
        super().__init__()
        self.answers = {**USERS, **answers}
        self.asked = []

    def on_lookup(self, tx, rcpt):
        key = f"{rcpt.user}@{rcpt.domain}"
        self.asked.append(key)
        if rcpt.domain == "tenant.example":
            return self.answers.get(key, unknown())
        return self.answers.get(key)


class Waiting(Directory):
    async def on_lookup(self, tx, rcpt):
        await asyncio.sleep(0)
        return super().on_lookup(tx, rcpt)


def ask(transcript, *plugins, **options):
    return play(OPEN + MAIL + transcript, plugins, **({"config": config()} | options))


@pytest.mark.parametrize("kind", [Directory, Waiting])
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_plugin_makes_a_domain_local(kind, protocol):
    greeting = OPEN if protocol == "smtp" else OPEN.replace("EHLO", "LHLO")
    play(
        greeting
        + MAIL
        + rcpt("one@tenant.example")
        + rcpt("One+tag@TENANT.example")
        + rcpt("gone@tenant.example", "550 5.1.1 Left the company [*]")
        + rcpt("other@tenant.example", NO_MAILBOX)
        + rcpt("one@elsewhere.example", RELAY_DENIED),
        [kind()],
        protocol=protocol,
    )


@pytest.mark.parametrize("kind", [Directory, Waiting])
def test_a_plugin_adds_to_the_known_mailboxes_and_may_deny_unlisted_ones(kind):
    directory = kind(**{"two@example.com": local(), "gone@example.com": unknown()})
    ask(
        rcpt("one@example.com")
        + rcpt("two@example.com")
        + rcpt("other@example.com", NO_MAILBOX)
        + rcpt("gone@example.com", NO_MAILBOX),
        directory,
        config=config(recipients={"known": ["one@example.com"]}),
    )
    assert directory.asked == ["two@example.com", "other@example.com", "gone@example.com"]


def test_without_known_a_plugin_may_refuse_a_mailbox():
    directory = Directory(**{"gone@example.com": unknown()})
    ask(rcpt("one@example.com") + rcpt("gone@example.com", NO_MAILBOX), directory)


def test_the_rules_of_local_domains_hold_for_those_of_a_plugin():
    everything = plugin(on_lookup=lambda _tx, _rcpt: local())
    ask(rcpt("user%elsewhere.example@tenant.example", "550 5.7.1 *names another host*"), everything)
    nothing = plugin(on_lookup=lambda _tx, _rcpt: unknown())
    ask(rcpt("postmaster@tenant.example") + rcpt("postmaster") + rcpt("x@y", NO_MAILBOX), nothing)
    routes = [RouteConfig(for_=["example.com"], to="discard:")]
    ask(rcpt("one@tenant.example", "451 4.3.5 No route*"), everything, config=config(route=routes))


def test_hooks_are_asked_after_the_look_up_and_only_about_local_recipients():
    seen = []
    observer = plugin(
        observe_rcpt=lambda _tx, rcpt: seen.append(f"observed {rcpt.user}"),
        on_rcpt=lambda _tx, rcpt: seen.append(f"asked {rcpt.user}"),
        after_rcpt=lambda _tx, _rcpt, outcome: seen.append(outcome.answer and outcome.answer.by),
    )
    ask(rcpt("one@tenant.example") + rcpt("x@tenant.example", "550"), observer, Waiting())
    assert seen == ["observed one", "asked one", None, "observed x", "waiting"]


def test_a_trap_is_hit_before_the_look_up():
    directory = Directory()
    played = ask(
        rcpt(TRAPS[1], "550") + rcpt("one@tenant.example") + "C: DATA\nS: 554 *local policy*\n",
        directory,
        traps=TRAPS,
    )
    assert directory.asked == [TRAPS[1], "one@tenant.example"]
    assert played.messages == []


def test_the_first_opinion_counts():
    silent = plugin(on_lookup=lambda _tx, _rcpt: None, name="silent")
    first = plugin(on_lookup=lambda _tx, _rcpt: unknown("first"))
    ask(rcpt("one@tenant.example", "550 5.1.1 first*"), silent, first, Directory())


@pytest.mark.parametrize("wrong", [True, accept(), deny(), "local", local])
def test_any_other_result_is_a_failure(wrong):
    ask(rcpt("one@example.com", "451 4.3.0*"), plugin(on_lookup=lambda _tx, _rcpt: wrong))


@pytest.mark.parametrize(
    ("on_error", "line"),
    [("defer", "451 4.3.0*"), ("deny", "554 5.3.0*"), ("skip", RELAY_DENIED)],
)
def test_a_failure_follows_on_error_and_is_not_cached(on_error, line):
    answers = [ZeroDivisionError(), local()]

    def on_lookup(_tx, _rcpt):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    later = "250" if on_error != "skip" else line
    recipients = rcpt("one@tenant.example", line) + rcpt("one@tenant.example", later)
    ask(recipients, plugin(on_error, on_lookup=on_lookup))


def test_an_answer_is_cached_until_its_end(monkeypatch):
    directory = Directory()

    async def main():
        clock = VirtualClock()
        async with MemoryServer([directory], clock=clock) as server:

            async def asked(address, line):
                del directory.asked[:]
                client = server.connect()
                await perform(client, OPEN + MAIL + rcpt(address, line))
                await client.close()
                return len(directory.asked)

            known, other = ("one@tenant.example", "250"), ("x@tenant.example", "550")
            foreign = ("x@elsewhere.example", "550")
            assert [await asked(*one) for one in (known, other, foreign)] == [1, 1, 1]
            assert [await asked(*one) for one in (known, other, foreign)] == [0, 0, 0]
            assert await asked("ONE@Tenant.Example", "250") == 0
            await clock.sleep(60)
            assert [await asked(*one) for one in (known, other, foreign)] == [0, 1, 1]
            await clock.sleep(240)
            assert [await asked(*one) for one in (known, other)] == [1, 1]

    asyncio.run(main())


@pytest.mark.parametrize(("seconds", "times"), [(0, 3), (30, 1)])
def test_the_time_is_configured(seconds, times):
    directory = Directory()
    settings = config(recipients={"lookup_cache": seconds})
    ask(rcpt("one@tenant.example") * 3, directory, config=settings)
    assert len(directory.asked) == times
    directory = Directory()
    ask(rcpt("x@tenant.example", "550") * 3, directory, config=settings)
    assert len(directory.asked) == times


def test_guessed_addresses_do_not_push_real_ones_out_of_the_cache(monkeypatch):
    monkeypatch.setattr(lookups, "MOST", 2)
    directory = Directory()
    guesses = "".join(rcpt(f"x{n}@tenant.example", "550") for n in (1, 2, 3, 1, 3))
    ask(rcpt("one@tenant.example") + guesses + rcpt("one@tenant.example"), directory)
    users = [key.partition("@")[0] for key in directory.asked]
    assert users == ["one", "x1", "x2", "x3", "x1"]


def test_answers_of_plugins_with_a_scope_are_kept_apart():
    directory = Installed(Directory(), scope=Scope(listen=frozenset({"other"})))
    ask(rcpt("one@tenant.example", "550") * 2, directory)
    assert directory.plugin.asked == []

    async def main():
        async with MemoryServer([directory], config=config()) as server:
            for listener, line in (("", "550"), ("other", "250"), ("", "550")):
                client = server.connect()
                await perform(client, "S: 220")
                set_fact(client._connection.talk.session, "listener", listener)
                await perform(
                    client, "C: EHLO x\nS: 250\n" + MAIL + rcpt("one@tenant.example", line)
                )
                await client.close()

    asyncio.run(main())
    assert directory.plugin.asked == ["one@tenant.example"]


class Slow(Plugin):
    """Answers when the test lets it."""

    def __init__(self):
        super().__init__()
        self.asked = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def on_lookup(self, tx, rcpt):
        self.asked += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return local()


async def waiting(server):
    """Return a client that waits for the answer to RCPT."""
    client = server.connect()
    await perform(client, OPEN + MAIL)
    client.send(b"RCPT TO:<one@tenant.example>\r\n")
    return client


def test_one_look_up_for_all_sessions_that_ask_at_the_same_time():
    async def main():
        slow = Slow()
        async with MemoryServer([slow]) as server:
            first, second, third = [await waiting(server) for _ in range(3)]
            await until(lambda: slow.asked)
            first._connection.connection_lost(None)
            slow.go.set()
            assert (await second.reply()).startswith("250")
            assert (await third.reply()).startswith("250")
            assert (slow.asked, slow.cancelled) == (1, 0)

    asyncio.run(main())


def test_a_look_up_that_no_session_waits_for_is_cancelled():
    async def main():
        slow = Slow()
        async with MemoryServer([slow]) as server:
            clients = [await waiting(server) for _ in range(2)]
            await until(lambda: slow.asked)
            for client in clients:
                client._connection.connection_lost(None)
            await until(lambda: slow.cancelled)
            slow.go.set()
            again = await waiting(server)
            assert (await again.reply()).startswith("250")
            assert slow.asked == 2

    asyncio.run(main())


def test_a_plugin_in_shadow_mode_has_no_opinion():
    ask(rcpt("one@tenant.example", RELAY_DENIED), Installed(Directory(), shadow=True))


def test_a_look_up_that_takes_too_long_is_deferred():
    ask(rcpt("one@tenant.example", "451 4.3.0*"), Installed(Slow(), timeout=0.01))


def test_without_such_a_plugin_there_are_no_look_ups():
    async def main():
        async with MemoryServer() as server:
            assert server.setup.lookups is None

    asyncio.run(main())


@pytest.mark.parametrize("kind", [Directory, Waiting])
def test_plugins_are_asked_about_a_recipient_that_no_look_up_refuses(kind):
    refuse = plugin(on_rcpt=lambda *_: deny("no"))
    ask(rcpt("two@example.com", "550 5.7.1 no [*]"), kind(), refuse)
    ask(rcpt("gone@tenant.example", "550 5.1.1 Left the company [*]"), kind(), refuse)


@pytest.mark.parametrize("kind", [Directory, Waiting])
def test_a_detailed_recorder_gets_look_ups_with_the_plugins_that_were_asked(kind):
    found = []

    class Keeps(Recorder):
        detailed = True

        def looked_up(self, tx, rcpt, answer, asked):
            names = [one.plugin for one in asked]
            found.append((str(rcpt.address), answer and answer.decision.reason, names))

    async def main():
        plugins = [plugin(on_lookup=lambda *_: None), kind()]
        async with MemoryServer(plugins, recorder=Keeps()) as server:
            known = rcpt("one@tenant.example") + rcpt("ONE@tenant.example")
            unknown = rcpt("one@elsewhere.example", RELAY_DENIED)
            await perform(server.connect(), OPEN + MAIL + known + unknown)

    asyncio.run(main())
    name = kind.__name__.lower()
    assert found == [
        ("one@tenant.example", "local", ["test", name]),
        ("ONE@tenant.example", "local", []),
        ("one@elsewhere.example", None, ["test", name]),
    ]
