"""Clients on DNS allow lists."""

import pytest
from tests.plugins.lists import (
    CLIENT,
    CLIENT_6,
    HELLO,
    MAIL,
    MESSAGE,
    RCPT,
    address_lists,
    entry,
)

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugin.scope import Conditions, Scope
from gatepost.plugins.dnsbl import Dnsbl
from gatepost.plugins.dnswl import Dnswl
from gatepost.testing import FakeResolver, play


class Results(Plugin):
    """Keeps the result of each message at RCPT."""

    def start(self):
        self.found = []

    def on_rcpt(self, tx, rcpt):
        result = tx.results.get("dnswl")
        self.found.append(result and (result.value, dict(result.facts)))


def result_of(answers, peer=CLIENT, resolver=None, **options):
    """Return the result about a client for which the list has these answers."""
    resolver = resolver or address_lists({"wl.example": {peer[0]: answers}})
    results = Results()
    plugins = [results, Dnswl(**{"zones": ["wl.example"], **options})]
    play(HELLO + MAIL + RCPT, plugins, resolver=resolver, peer=peer)
    return results.found[0]


@pytest.mark.parametrize(
    ("answer", "value", "trust", "score"),
    [
        ("127.0.5.0", "none", "none", 0),
        ("127.0.5.1", "pass", "low", -1),
        ("127.0.10.2", "pass", "medium", -3),
        ("127.0.2.3", "pass", "high", -6),
    ],
)
def test_the_points_depend_on_the_trust(answer, value, trust, score):
    facts = {"zone": "wl.example", "ip": answer, "trust": trust, "score": score}
    assert result_of(answer) == (value, facts)
    assert result_of(answer, CLIENT_6) == (value, facts)


def test_the_highest_trust_counts():
    assert result_of(["127.0.5.1", "127.0.9.3"])[1]["trust"] == "high"


def test_the_least_trust_of_a_pass_can_be_set():
    assert result_of("127.0.5.1", least="medium")[0] == "none"
    assert result_of("127.0.5.2", least="medium")[0] == "pass"


@pytest.mark.parametrize("answers", [[], "127.0.0.4", "192.0.2.1"])
def test_other_answers_are_no_entry(answers):
    assert result_of(answers) == ("none", {})


@pytest.mark.parametrize("answer", ["127.0.0.255", "127.255.255.255"])
def test_an_error_of_the_list_is_no_entry(answer):
    assert result_of(answer) == ("temperror", {})


def test_a_list_without_an_answer_is_no_entry():
    name = entry("198.51.100.7", "wl.example")
    broken = address_lists({"wl.example": {}}, fail=[name])
    assert result_of([], resolver=broken) == ("temperror", {})


def test_a_list_that_lists_everything_is_ignored():
    wildcard = {"198.51.100.7": "127.0.5.3", "127.0.0.1": "127.0.5.3"}
    resolver = address_lists({"wl.example": wildcard})
    assert result_of([], resolver=resolver) == ("temperror", {})


def test_private_addresses_are_not_looked_up():
    assert result_of("127.0.5.3", ("10.0.0.1", 50000)) is None


def test_the_result_is_in_the_authentication_results():
    name = entry("198.51.100.7", "wl.example")
    known = {entry("127.0.0.2", "wl.example"): "127.0.0.2", name: "127.0.5.1"}
    text = 'client.example "\x07https://wl.example/?d=client.example'
    resolver = FakeResolver(a=known, txt={name: text})
    plugins = [Dnswl(zones=["wl.example"], explain=True)]
    played = play(HELLO + (MAIL + RCPT + MESSAGE) * 2, plugins, resolver=resolver, peer=CLIENT)
    for message in played.messages:
        content = b" ".join(message.content.split())
        assert b"dnswl=pass dns.zone=wl.example policy.ip=127.0.5.1" in content
        assert b'policy.txt="client.example \\"?https://wl.example/?d=client.example"' in content
    assert played.metrics.value("gatepost_plugin_dnswl_found", trust="low") == 1


def test_a_client_on_an_allow_list_is_left_out_by_another_plugin():
    zones = {"bl.example": {"198.51.100.7": "127.0.0.2"}, "wl.example": {}}
    rcpt = "C: RCPT TO:<user@example.com>\nS: {}\n"
    for answers, code in (("127.0.5.2", 250), ([], 550)):
        zones["wl.example"]["198.51.100.7"] = answers
        unless = Scope(unless=Conditions(results={"dnswl": "pass"}))
        plugins = [
            Installed(Dnsbl(zones=["bl.example"]), scope=unless),
            Dnswl(zones=["wl.example"]),
        ]
        transcript = HELLO + MAIL + rcpt.format(code)
        play(transcript, plugins, resolver=address_lists(zones), peer=CLIENT)


def test_zones_are_checked_at_the_start():
    with pytest.raises(ValueError, match="expected 1 to 50 zones, found 0"):
        Dnswl(zones=[])
