"""The wait before the greeting: who waits, and who does not keep silent."""

import asyncio

import pytest

from gatepost import Endpoint, Plugin, Session, StoreError
from gatepost.plugin.base import Installed
from gatepost.plugins.early_talker import EarlyTalker
from gatepost.testing import MemoryStore, play

PEER = ("198.51.100.7", 50000)
GREETED = "S: 220"
EARLY = "C: EHLO client.example\nS: {}"
REFUSED = EARLY.format("554 5.5.1 SMTP protocol violation: data sent before the greeting*")


class Client(Plugin):
    """Adds a result about each client."""

    name = "dnsbl"
    before = frozenset({"early_talker"})

    class Options(Plugin.Options):
        value: str = "listed"
        score: float = 0

    def on_connect(self, session):
        session.results.add("dnsbl", self.options.value, score=self.options.score)


class Found(Plugin):
    after = frozenset({"early_talker"})

    def on_connect(self, session):
        self.result = session.results.get("early_talker")


def run(transcript=GREETED, *plugins, peer=PEER, store=None, **more):
    """Return the waits, and the result of a client that was not refused."""
    seen = Found()
    seen.result = None
    played = play(transcript, [*plugins, seen], peer=peer, store=store, **more)
    return played.slept, seen.result and seen.result.value


def test_a_client_that_sends_before_the_greeting_is_refused():
    played = play(REFUSED, [EarlyTalker()], peer=PEER)
    assert played.slept == [6]
    assert [(one.hook, one.verdict, one.reason) for one in played.decisions] == [
        ("connect", "deny", "early-talker")
    ]
    assert played.metrics.value("gatepost_plugin_early_talker_clients", result="early") == 1


def test_it_can_be_deferred():
    play(EARLY.format("421 4.5.1 *"), [EarlyTalker(early="defer")], peer=PEER)


def test_it_can_be_let_in_with_points():
    transcript = EARLY.format("220") + "\nS: 250"
    seen = Found()
    play(transcript, [EarlyTalker(early=3), seen], peer=PEER)
    assert (seen.result.value, seen.result.score) == ("early", 3)


def test_in_shadow_mode_it_is_let_in():
    shadow = Installed(EarlyTalker(), shadow=True)
    assert run(EARLY.format("220") + "\nS: 250", shadow) == ([6], "early")


def test_a_client_waits_once():
    store = MemoryStore()
    assert run(GREETED, EarlyTalker(wait="3s"), store=store) == ([3], "waited")
    assert run(GREETED, EarlyTalker(wait="3s"), store=store) == ([], "known")
    assert run(GREETED, EarlyTalker(), store=store, now="2024-01-08T01:00") == ([6], "waited")


def test_an_early_talker_is_not_remembered():
    store = MemoryStore()
    play(REFUSED, [EarlyTalker()], peer=PEER, store=store)
    assert store.values("early_talker") == {}
    play(REFUSED, [EarlyTalker()], peer=PEER, store=store)


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        (PEER[0], "198.51.100.8", True),
        (PEER[0], "::ffff:198.51.100.7", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", False),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", True),
    ],
)
def test_clients_are_known_by_address_or_network(first, second, waits):
    store = MemoryStore()
    run(GREETED, EarlyTalker(), peer=(first, 1), store=store)
    assert run(GREETED, EarlyTalker(), peer=(second, 1), store=store)[0] == ([6] if waits else [])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.9", "fd00::1", "local"])
def test_internal_clients_do_not_wait(address):
    assert run(GREETED, EarlyTalker(), peer=(address, 1)) == ([], None)


def test_clients_of_a_relay_network_do_not_wait():
    config = {"route": [{"for": ["*"], "to": "discard:", "relay_for": ["198.51.100.0/24"]}]}
    assert run(GREETED, EarlyTalker(), config=config) == ([], None)


def test_a_client_that_xclient_names_does_not_wait():
    named = Session("1", Endpoint(*PEER), Endpoint("192.0.2.25", 25), 0.0, xclient={"NAME": "x"})
    assert asyncio.run(EarlyTalker().on_connect(named)) is None
    assert "early_talker" not in named.results


@pytest.mark.parametrize(
    ("found", "options", "waits"),
    [
        ({}, {"only_suspects": True}, True),
        ({"score": 1, "value": "x"}, {"only_suspects": True}, True),
        ({"value": "none"}, {"only_suspects": True}, False),
        ({"value": "none"}, {}, True),
        ({"value": "none", "score": -1}, {}, False),
        ({}, {"only_suspects": True, "suspect_results": []}, False),
    ],
)
def test_results_of_others_decide_who_waits(found, options, waits):
    expected = [6] if waits else []
    assert run(GREETED, EarlyTalker(**options), Client(**found))[0] == expected


def test_without_results_no_client_is_a_suspect():
    assert run(GREETED, EarlyTalker(only_suspects=True)) == ([], None)


def test_a_suspect_waits_although_it_is_known():
    store = MemoryStore()
    run(GREETED, EarlyTalker(), store=store)
    assert run(GREETED, EarlyTalker(), Client(), store=store) == ([6], "waited")


class Down:
    """A store that is unavailable."""

    def __init__(self, *methods):
        self.methods = methods

    async def get(self, key):
        if "get" in self.methods:
            raise StoreError("down")

    async def set(self, key, value, ttl=None):
        raise StoreError("down")


class WithoutStore(EarlyTalker):
    """The plugin with a store that fails."""

    failing = ("get", "set")

    def start(self):
        self.store = Down(*self.failing)


def test_without_the_store_no_client_waits():
    assert run(GREETED, WithoutStore()) == ([], "unknown")


def test_a_client_that_cannot_be_remembered_is_let_in():
    plugin = WithoutStore()
    plugin.failing = ("set",)
    assert run(GREETED, plugin) == ([6], "waited")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"wait": "0s"}, "expected a wait"),
        ({"wait": "16s"}, "expected a wait"),
        ({"keep": "0s"}, "expected a time to keep"),
    ],
)
def test_options_are_limited(options, error):
    with pytest.raises(ValueError, match=error):
        EarlyTalker(**options)
