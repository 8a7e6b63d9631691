"""The search for traps by ever smaller sets of recipients."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs
from tests.plugins.states import LOGIN, WITH_AUTH, Add, Login, TroubledStore

from gatepost import Plugin, deny
from gatepost.plugin.base import Installed
from gatepost.plugins.trap_memory import TrapMemory
from gatepost.plugins.trap_probes import RECENT, TrapProbes
from gatepost.session.assemble import SetupError
from gatepost.testing import MemoryRegistry, MemoryServer, MemoryStore, VirtualClock, perform, play

PEER, NEIGHBOUR, OTHER = ("203.0.113.7", 4711), ("203.0.113.200", 4711), ("198.51.100.9", 4711)
HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""
CONTENT = """
    C: Subject: hello
    C:
    C: text
    C: .
    S: {}
"""
SENDER = "a@client.example"
REFUSED = "554 5.7.1 Message refused by local policy*"


def ask(*users, sender=SENDER, data="554", end=""):
    """Return a transaction for some users of example.com; `data` is the reply to DATA."""
    lines = "".join(f"    C: RCPT TO:<{user}@example.com>\n    S: 250\n" for user in users)
    content = CONTENT.format(end) if end else ""
    return f"    C: MAIL FROM:<{sender}>\n    S: 250\n{lines}    C: DATA\n    S: {data}\n{content}"


def users(number):
    return [f"user{one}" for one in range(number)]


def halves(**options):
    """Return a chain of three refused refinements."""
    return "".join(ask("trap", *users(size), **options) for size in (15, 10, 6, 3))


def unknown(names):
    return "".join(f"    C: RCPT TO:<x{one}@example.com>\n    S: 550\n" for one in names)


def known(*names):
    addresses = [f"{one}@example.com" for one in names]
    recipients = {"domains": ["example.com"], "known": addresses}
    return {"recipients": recipients, "limits": {"errors": 100}}


class Seen(Plugin):
    """Keeps the result of each transaction."""

    after = frozenset({"trap_probes"})

    def start(self):
        self.values = []

    def on_rcpt(self, tx, rcpt):
        self.values.append(tx.results.value("trap_probes"))


class Site:
    """One store, one clock, and clients one after the other."""

    traps = ("trap@example.com", "other@example.com class=recycled", "@traps.example.com")

    def __init__(self, store=None, registry=None):
        self.store = store or MemoryStore()
        self.registry = registry or MemoryRegistry()
        self.seen = Seen()

    def play(
        self,
        text,
        *plugins,
        peer=PEER,
        now="2024-01-01T00:00",
        config=None,
        shadow=False,
        **options,
    ):
        probes = Installed(TrapProbes(**options), shadow=shadow)
        chain = [*plugins, TrapMemory(), probes, self.seen]
        given = {"peer": peer, "now": now, "config": config or {}, "traps": self.traps}
        given |= {"store": self.store, "registry": self.registry}
        with capture_logs() as self.logs:
            return play(HELLO + text, chain, **given)

    def events(self, name="search for traps detected"):
        return [one for one in self.logs if one["event"] == name]

    def is_flagged(self, **options):
        self.play(
            "C: MAIL FROM:<b@x.example>\nC: RCPT TO:<u@example.com>\nS: 250\nS: 250", **options
        )
        return self.seen.values == ["flagged"]


@pytest.fixture
def site():
    return Site()


def test_a_chain_is_logged_and_nothing_is_refused_by_default(site):
    played = site.play(halves() + ask("user1", data="354", end="250"))
    (line,) = site.events()
    assert (line["sender"], line["refinements"], line["refuses"]) == (SENDER, 3, False)
    assert line["ref"].endswith(".4")
    assert line["peer"].startswith("203.0.113.7")
    assert len(played.messages) == 1
    assert played.metrics.value("gatepost_plugin_trap_probes_flagged") == 1
    assert played.metrics.value("gatepost_plugin_trap_probes_sets") == 4


def test_the_exposed_trap_is_logged_once(site):
    played = site.play(halves() + ask("trap", "user1"))
    (line,) = site.events("trap exposed")
    assert line["trap"] == "trap@example.com"
    assert played.metrics.value("gatepost_plugin_trap_probes_exposed") == 1
    assert len(site.events()) == 1


def test_the_history_of_a_registered_trap_has_the_exposure(site):
    site.registry = MemoryRegistry("trap@example.com at=2023-01-01T00:00:00Z state=armed")
    site.traps = []
    site.play(halves(), shadow=True)
    assert len(site.registry.history("trap@example.com")) == 1
    site = Site(registry=site.registry)
    site.traps = []
    site.play(halves())
    trap = site.registry.find("trap@example.com")
    assert (trap.state, trap.by) == ("armed", "trap_probes")
    assert trap.reason.startswith("exposed by a search for traps, see ")


def test_a_flagged_network_gets_one_answer(site):
    site.play(halves(), refuse=True)
    for text in (ask("user1", data=REFUSED), ask("user9", "user8", data=REFUSED)):
        played = site.play(text, peer=NEIGHBOUR, refuse=True, now="2024-01-30")
        assert played.slept == [1]
    assert played.metrics.value("gatepost_plugin_trap_probes_refused") == 1
    assert [one.reason for one in played.decisions] == ["trap-probes"]
    site.play(ask("trap", data=REFUSED), peer=NEIGHBOUR, refuse=True)


def test_other_networks_are_not_refused(site):
    site.play(halves(), refuse=True)
    site.play(ask("user1", data="354", end="250"), peer=OTHER, refuse=True)


def test_a_flag_ends_after_30_days(site):
    site.play(halves())
    site.play(ask("user1", data="554"), refuse=True, now="2024-01-30")
    site.play(ask("user1", data="354", end="250"), refuse=True, now="2024-02-01")


def test_a_sender_who_tries_again_with_fewer_recipients_is_not_flagged(site):
    again = ask("trap", *users(8)) + ask("trap", *users(5)) + ask(*users(3), data="354", end="250")
    site.play(again)
    assert site.events() == []
    assert site.store.values("trap_probes").keys() == {"last", "entry 1", "entry 2", "entry 3"}


def test_ordinary_mail_writes_nothing(site):
    site.play(ask("user1", "user2", "user3", data="354", end="250") * 5)
    assert site.store.values("trap_probes") == {}


def test_a_chain_over_connections_is_found(site):
    for text in (ask("trap", *users(15)), ask("trap", *users(10)), ask("trap", *users(6))):
        site.play(text)
        assert site.events() == []
    site.play(ask("trap", *users(3)))
    assert len(site.events()) == 1


def test_a_client_that_leaves_at_data_is_seen(site):
    passed = ask("user1", "user2", data="354").replace("S: 354", "S: 354\n    C: text")
    site.play(ask("trap", *users(15)) + ask("trap", *users(10)) + ask("trap", *users(6)) + passed)
    assert len(site.events()) == 1


def test_a_transaction_that_does_not_get_to_data_shows_nothing(site):
    reset = halves().replace("C: DATA\n    S: 554", "C: RSET\n    S: 250")
    site.play(reset)
    assert site.store.values("trap_probes") == {}


def test_tags_and_unknown_recipients_do_not_hide_a_chain(site):
    text = ""
    for step, size in enumerate((9, 6, 4, 2)):
        asked = ask("trap", *(f"{one}+{step}" for one in users(size)))
        junk = unknown(f"{step}{one}" for one in range(4))
        text += asked.replace("    C: DATA", f"{junk}    C: DATA")
    site.play(text, config=known(*users(9)))
    assert len(site.events()) == 1


def test_refusals_of_other_plugins_show_nothing(site):
    class Refuse(Plugin):
        before = frozenset({"trap_probes"})

        def on_data(self, tx):
            return deny("no") if len(tx.recipients) < 20 else None

    text = "".join(ask(*users(size)) for size in (15, 10, 6, 3))
    site.play(text, Refuse())
    assert site.store.values("trap_probes") == {}


@pytest.mark.parametrize("standing", ["acquainted", "trusted"])
def test_known_senders_are_never_flagged_or_refused(site, standing):
    known = {"mail": [("standing", standing, {})]}
    config = {"traps": {"table": {"pristine": {standing: "refuse all"}}}}
    site.play(halves(), Add(**known), config=config)
    assert site.events() == []
    site.play(halves())
    site.play(ask("user1", data="354", end="250"), Add(**known), refuse=True)


def test_authenticated_clients_are_never_flagged(site):
    text = LOGIN.partition("S: 250\n")[2] + ask("trap", *users(3), data="354", end="250") * 4
    site.play(text, Login(), config=WITH_AUTH)
    assert site.store.values("trap_probes") == {}


def test_a_sender_that_is_known_by_its_content_is_not_observed(site):
    chain = "".join(ask("trap", *users(size)) for size in (15, 10, 6))
    site.play(chain)
    known = Add(message=[("standing", "acquainted", {})])
    site.play(ask("user1", "user2", data="354", end="250"), known)
    assert site.events() == []
    site.play(ask("user1", "user2", data="354", end="250"))
    assert len(site.events()) == 1


def test_in_shadow_mode_of_the_traps_nothing_is_observed(site):
    config = {"traps": {"action": "shadow"}}
    site.play(halves(data="354", end="250"), config=config)
    site.play(ask("trap", *users(9), data="354") + "    C: text\n", config=config)
    assert site.store.values("trap_probes") == {}


class Journal(Plugin):
    """Adds a recipient to each message."""

    def on_rcpt(self, tx, rcpt):
        tx.add_recipient("journal@example.com")


def test_recipients_that_plugins_add_do_not_count(site):
    text = ask("trap", *users(9))
    text += "".join(ask(one, data="354", end="250") for one in users(4))
    site.play(text + ask("trap"), Journal())
    assert len(site.events()) == 1


def test_a_big_provider_is_not_flagged_and_the_trap_is_exposed(site):
    google = Add(mail=[("iprev", "pass", {"name": "mail-a.google.com"})])
    site.play(halves(), google)
    assert site.events() == []
    assert len(site.events("trap exposed")) == 1


def test_a_proven_domain_is_flagged_in_other_networks(site):
    passed = {"mail": [("spf", "pass", {})]}
    site.play(halves(), Add(**passed))
    site.play(ask("user1"), Add(**passed), peer=OTHER, refuse=True)
    site.play(ask("user1", data="354", end="250"), peer=OTHER, refuse=True)


def test_single_recipients_of_a_refused_message_are_a_search(site):
    text = ask("trap", *users(9))
    text += "".join(ask(one, data="354", end="250") for one in users(4))
    site.play(text)
    assert site.events() == []
    site.play(ask("trap"))
    assert len(site.events()) == 1


def test_bounces_are_no_search_by_single_recipients(site):
    text = ask("trap", *users(9))
    text += "".join(ask(one, sender="", data="354", end="250") for one in users(4))
    site.play(text + ask("trap", sender=""))
    assert site.events() == []


def test_many_unknown_recipients_are_no_suspicious_set(site):
    text = ask(*users(3)).replace("    C: DATA", unknown(range(20)) + "    C: DATA")
    site.play(text, config=known(*users(3)))
    assert site.store.values("trap_probes") == {}


def test_after_the_content_the_answer_is_that_of_traps(site):
    late = {"traps": {"verdict": "end", "reply": "550 5.7.9 No", "delay": "3s"}}
    texts = [ask("trap", *users(size), data="354", end="550 5.7.9 No*") for size in (15, 10, 6, 3)]
    site.play("".join(texts), config=late)
    assert len(site.events()) == 1
    text = ask("user1", data="354", end="550 5.7.9 No*")
    played = site.play(text, refuse=True, config=late)
    assert played.slept == [3]


def test_a_temporary_reply_of_traps_is_used_too(site):
    config = {"traps": {"reply": "451 4.7.1 Later"}}
    site.play(halves(data="451 4.7.1 Later*"), config=config)
    site.play(ask("user1", data="451 4.7.1 Later*"), refuse=True, config=config)


def test_a_restarted_worker_has_the_sets_of_the_last_week(site):
    site.play(ask("trap", *users(15)) + ask("trap", *users(10)))
    site.play(ask("trap", *users(6)), now="2024-01-05")
    site.play(ask("trap", *users(3)), now="2024-01-07")
    assert len(site.events()) == 1


def test_sets_of_an_earlier_week_are_dropped(site):
    site.play(ask("trap", *users(15)) + ask("trap", *users(10)))
    site.play(ask("trap", *users(6)), now="2024-01-05")
    site.play(ask("trap", *users(3)), now="2024-01-09")
    assert site.events() == []


def test_a_flag_that_was_forgiven_does_not_come_back_with_a_restart(site):
    site.play(halves())
    (flag,) = [key for key in site.store.values("trap_probes") if key.startswith("flag")]
    asyncio.run(site.store.scope("trap_probes").delete(flag))
    assert not site.is_flagged()


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", '{"name":"x","probe":{"at":"y"}}'])
def test_a_damaged_entry_of_the_journal_is_left_out(site, text):
    site.store.put("trap_probes", "entry 1", text)
    site.store.put("trap_probes", "last", 1)
    site.play(halves())
    assert len(site.events()) == 1


@pytest.mark.parametrize("kind", ["down", "late"])
def test_without_the_store_there_is_no_opinion(kind):
    site = Site(TroubledStore(kind))
    played = site.play(halves() + ask("user1", data="354", end="250"), refuse=True)
    assert site.events() == []
    assert len(played.messages) == 1


def test_while_the_store_is_read_only_nothing_is_recorded_and_flags_count():
    site = Site(TroubledStore())
    site.play(halves())
    site.store.trouble("read-only")
    played = site.play(ask("trap", *users(12)), peer=OTHER)
    assert played.metrics.value("gatepost_plugin_trap_probes_not_recorded") == 1
    site.play(ask("user1"), refuse=True)


@pytest.mark.slow
def test_there_is_no_opinion_while_redis_never_answers(play_silent):
    plugins = [TrapMemory(), TrapProbes(refuse=True), seen := Seen()]
    text = HELLO + halves() + ask("user1", data="354", end="250")
    play_silent(text, plugins, traps=["trap@example.com"], peer=PEER)
    assert set(seen.values) == {None}


def test_a_real_store_has_the_chain_and_the_flags(play_real):
    given = {"traps": ["trap@example.com"], "peer": PEER}
    play_real(HELLO + halves(), [TrapMemory(), TrapProbes()], **given)
    play_real(HELLO + ask("user1"), [TrapMemory(), TrapProbes(refuse=True)], **given)


def test_workers_find_a_chain_together():
    async def scenario():
        store, clock = MemoryStore(), VirtualClock()
        async with AsyncExitStack() as stack:
            servers = [
                await stack.enter_async_context(worker(store=store, clock=clock)) for _ in range(3)
            ]
            for server, size in zip((*servers, servers[0]), (15, 10, 6, 3), strict=True):
                text = HELLO + ask("trap", *users(size))
                await perform(server.connect(PEER), text)
            await clock.sleep(RECENT)
            for server in servers:
                text = HELLO + ask("user1", data=REFUSED)
                await perform(server.connect(NEIGHBOUR), text)

    asyncio.run(scenario())


def worker(**given):
    plugins = [TrapMemory(), TrapProbes(refuse=True)]
    return MemoryServer(plugins, traps=["trap@example.com"], **given)


def test_it_needs_the_memory_of_traps():
    with pytest.raises(SetupError, match="needs the plugin trap_memory"):
        play("S: 220", [TrapProbes()])
