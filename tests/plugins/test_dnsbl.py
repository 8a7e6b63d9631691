"""Clients on DNS block lists."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.plugins.lists import (
    CLIENT,
    CLIENT_6,
    HELLO,
    MAIL,
    MESSAGE,
    RCPT,
    address_lists,
    asked,
    domain_lists,
    entry,
)

from gatepost import AuthFacts, Endpoint, NetworkList, Plugin, Session, accept
from gatepost.plugin.base import Installed
from gatepost.plugins._addresses import is_trusted
from gatepost.plugins._dns_lists import ADDRESSES
from gatepost.plugins.dnsbl import Dnsbl
from gatepost.testing import FakeResolver, play

LISTED = address_lists({"bl.example": {"198.51.100.7": "127.0.0.2", "2001:db8::7": "127.0.0.4"}})
REFUSED = """
    C: RCPT TO:<user@example.com>
    S: 550 5.7.1 198.51.100.7 is listed in bl.example*
"""
DENIED = [("rcpt", "dnsbl", "deny", "dnsbl")]


class Results(Plugin):
    """Keeps the results of each message at RCPT, the first hook behind the look-ups."""

    def start(self):
        self.found = []

    def on_rcpt(self, tx, rcpt):
        self.found.append([(one.value, dict(one.facts)) for one in tx.results.all("dnsbl")])


def decisions(played):
    return [(one.hook, one.plugin, one.verdict, one.reason) for one in played.decisions]


def refused(options, resolver=LISTED, peer=CLIENT, **more):
    """Play a recipient that is refused."""
    host = peer[0]
    transcript = f"C: RCPT TO:<user@example.com>\nS: 550 5.7.1 {host} is listed in *"
    return play(HELLO + MAIL + transcript, [Dnsbl(**options)], resolver=resolver, peer=peer, **more)


def accepted(options, resolver=LISTED, peer=CLIENT, **more):
    """Play a recipient that is accepted; return its results too."""
    results = Results()
    plugins = [results, Dnsbl(**options)]
    played = play(HELLO + MAIL + RCPT, plugins, resolver=resolver, peer=peer, **more)
    assert played.decisions == []
    return results.found[0]


def test_a_listed_client_is_refused_at_rcpt():
    played = refused({"zones": ["bl.example"]})
    assert decisions(played) == DENIED
    assert played.metrics.value("gatepost_plugin_dnsbl_hits", list="bl.example") == 1
    assert played.metrics.value("gatepost_plugin_dnsbl_refused", list="bl.example") == 1


def test_an_ipv6_client_is_refused():
    refused({"zones": ["bl.example"]}, peer=CLIENT_6)


def test_a_mapped_address_is_looked_up_as_ipv4():
    transcript = """
        C: RCPT TO:<user@example.com>
        S: 550 5.7.1 198.51.100.7 is listed in bl.example*
    """
    peer = ("::ffff:198.51.100.7", 50000)
    play(HELLO + MAIL + transcript, [Dnsbl(zones=["bl.example"])], resolver=LISTED, peer=peer)


def test_a_client_that_is_not_listed_is_accepted():
    assert accepted({"zones": ["bl.example"]}, peer=("198.51.100.8", 50000)) == [("none", {})]


def test_a_listed_client_is_deferred():
    deferred = "C: RCPT TO:<user@example.com>\nS: 450 4.7.1 198.51.100.7 is listed in bl.example*"
    options = Dnsbl(zones=["bl.example"], listed="defer")
    play(HELLO + MAIL + deferred, [options], resolver=LISTED, peer=CLIENT)


@pytest.mark.parametrize("reaction", [3, "none", -1.5])
def test_a_listed_client_gets_points(reaction):
    (result,) = accepted({"zones": ["bl.example"], "listed": reaction})
    points = 0 if reaction == "none" else reaction
    facts = {"ip": "198.51.100.7", "list": "bl.example", "answers": "127.0.0.2", "score": points}
    assert result == ("listed", facts)


def test_reactions_depend_on_the_answers():
    table = {"127.0.0.2": 4, "127.0.0.10-11": 2, "default": "deny"}
    options = {"zones": {"bl.example": table}}
    answers = {"198.51.100.7": ["127.0.0.2", "127.0.0.11"], "198.51.100.8": "127.0.0.3"}
    resolver = address_lists({"bl.example": answers})
    (result,) = accepted(options, resolver)
    assert (result[1]["score"], result[1]["answers"]) == (6, "127.0.0.2 127.0.0.11")
    refused(options, resolver, ("198.51.100.8", 50000))


def test_points_of_all_lists_refuse_at_the_threshold():
    zones = {name: {"198.51.100.7": "127.0.0.2"} for name in ("a.example", "b.example")}
    resolver = address_lists(zones)
    options = {"zones": {"a.example": 2, "b.example": 3}}
    refused({**options, "threshold": 5}, resolver)
    assert [one[1]["score"] for one in accepted({**options, "threshold": 5.5}, resolver)] == [2, 3]


def test_shadow_mode_refuses_nothing():
    shadow = Installed(Dnsbl(zones=["bl.example"]), shadow=True)
    played = play(HELLO + MAIL + RCPT, [shadow], resolver=LISTED, peer=CLIENT)
    assert played.decisions == []


def test_every_message_of_a_client_has_the_results_once():
    resolver = FakeResolver(a={entry("127.0.0.2", "bl.example"): "127.0.0.2"})
    results = Results()
    plugins = [results, Dnsbl(zones=["bl.example"])]
    one = MAIL + RCPT + MESSAGE
    play(HELLO + one + one, plugins, resolver=resolver, peer=CLIENT)
    assert results.found == [[("none", {})]] * 2
    assert asked(resolver).count(entry("198.51.100.7", "bl.example")) == 1


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fe80::1", "fd00::1"]
)
def test_private_addresses_are_not_looked_up(peer):
    resolver = FakeResolver(a={entry("127.0.0.2", "bl.example"): "127.0.0.2"})
    assert accepted({"zones": ["bl.example"]}, resolver, (peer, 50000)) == []
    # 127.0.0.1 is a test entry
    assert asked(resolver).count(entry(peer, "bl.example")) == (peer == "127.0.0.1")


def test_a_client_of_a_relay_network_is_not_looked_up():
    route = {"to": "discard:", "relay_for": ["198.51.100.0/24"]}
    config = {"recipients": {"domains": ["example.com"]}, "route": [route]}
    assert accepted({"zones": ["bl.example"]}, config=config) == []


def test_an_authenticated_client_is_not_looked_up():
    peer = Endpoint("198.51.100.7", 50000)
    session = Session("1", peer, peer, 0.0)
    user = Session("1", peer, peer, 0.0, auth=AuthFacts("alice", "PLAIN"))
    assert not is_trusted(session, NetworkList())
    assert is_trusted(user, NetworkList())
    assert is_trusted(session, NetworkList("198.51.100.0/24"))


def test_the_other_end_of_a_unix_socket_is_not_looked_up():
    peer = Endpoint("unix:/run/gatepost.sock")
    assert is_trusted(Session("1", peer, peer, 0.0), NetworkList())


@pytest.mark.parametrize("peer", ["64:ff9b::c633:6407", "::ffff:198.51.100.7", "2002:c633:6407::1"])
def test_the_ipv4_address_in_an_ipv6_address_is_looked_up(peer):
    played = play(
        HELLO + MAIL + REFUSED, [Dnsbl(zones=["bl.example"])], resolver=LISTED, peer=(peer, 50000)
    )
    assert decisions(played) == DENIED


def test_postmaster_and_chosen_local_parts_are_accepted():
    transcript = """
        C: RCPT TO:<Postmaster@example.com>
        S: 250
    """
    play(HELLO + MAIL + transcript, [Dnsbl(zones=["bl.example"])], resolver=LISTED, peer=CLIENT)
    refused({"zones": ["bl.example"], "accept_for": []})
    accepted({"zones": ["bl.example"], "accept_for": ["user"]})


def test_a_domain_has_lists_and_reactions_of_its_own():
    zones = {"a.example": {"198.51.100.7": "127.0.0.2"}, "b.example": {"198.51.100.7": "127.0.0.2"}}
    tables = {"off.example": {"listed": "none"}, "other.example": {"zones": ["b.example"]}}
    transcript = """
        C: RCPT TO:<user@example.com>
        S: 550 5.7.1 198.51.100.7 is listed in a.example*
        C: RCPT TO:<user@off.example>
        S: 250
        C: RCPT TO:<user@other.example>
        S: 550 5.7.1 198.51.100.7 is listed in b.example*
    """
    play(
        HELLO + MAIL + transcript,
        [Dnsbl(zones=["a.example"], options_for=tables)],
        config={"recipients": {"domains": ["example.com", "off.example", "other.example"]}},
        resolver=address_lists(zones),
        peer=CLIENT,
    )


def test_a_plugin_that_accepts_mail_does_not_bypass_the_lists():
    class AcceptsMail(Plugin):
        def on_mail(self, tx, sender):
            return accept()

    plugins = [AcceptsMail(), Dnsbl(zones=["bl.example"])]
    play(HELLO + MAIL + REFUSED, plugins, resolver=LISTED, peer=CLIENT)


def test_a_client_is_refused_at_connect():
    plugins = [Dnsbl(zones=["bl.example"], decide_at="connect")]
    transcript = "S: 554 5.7.1 198.51.100.7 is listed in bl.example*"
    played = play(transcript, plugins, resolver=LISTED, peer=CLIENT)
    assert decisions(played) == [("connect", "dnsbl", "deny", "dnsbl")]
    accepted({"zones": ["bl.example"], "decide_at": "connect", "listed": 2})
    accepted({"zones": ["bl.example"], "decide_at": "connect"}, peer=("198.51.100.8", 1))


def test_the_text_of_the_list_is_in_the_reply():
    name = entry("198.51.100.7", "bl.example")
    known = {entry("127.0.0.2", "bl.example"): "127.0.0.2", name: "127.0.0.2"}
    hostile = "see\r\n250 https://bl.example/ \x1b[0m" + "x" * 9000
    resolver = FakeResolver(a=known, txt={name: hostile})
    played = refused({"zones": ["bl.example"]}, resolver)
    assert "bl.example: see 250 https://bl.example/ ?[0mxxx" in played.replies[-1]
    assert len(played.replies[-1]) < 300
    played = refused({"zones": ["bl.example"], "explain": False}, resolver)
    assert "see" not in played.replies[-1]


def test_the_reply_can_have_a_page():
    text = "Blocked, see https://help.example/?ip={ip}&list={list}"
    transcript = f"""
        C: RCPT TO:<user@example.com>
        S: 550 5.7.1 {text.format(ip="198.51.100.7", list="bl.example")}*
    """
    plugins = [Dnsbl(zones=["bl.example"], text=text)]
    play(HELLO + MAIL + transcript, plugins, resolver=LISTED, peer=CLIENT)


def test_the_key_of_a_customer_is_nowhere():
    zone = "s3cret.zen.example"
    name = entry("198.51.100.7", zone)
    known = {entry("127.0.0.2", zone): "127.0.0.2", name: "127.0.0.2"}
    resolver = FakeResolver(a=known, txt={name: f"listed in {zone.upper()}"})
    options = {"zones": ["{dqs}.zen.example"], "keys": {"dqs": "s3cret"}}
    down = FakeResolver(fail=[entry("127.0.0.1", zone)])
    with capture_logs() as logs:
        played = refused(options, resolver)
        results = accepted(options, down)
    everything = f"{played} {results} {logs}".lower()
    assert "listed in <secret>.zen.example" in everything
    assert "dns list failed its test" in everything
    assert "s3cret" not in everything


# Failures


def test_a_list_without_an_answer_has_no_effect():
    broken = address_lists({"bl.example": {}}, fail=[entry("198.51.100.7", "bl.example")])
    results = Results()
    plugins = [results, Dnsbl(zones=["bl.example"])]
    played = play(HELLO + MAIL + RCPT, plugins, resolver=broken, peer=CLIENT)
    assert results.found == [[("temperror", {})]]
    assert played.metrics.value("gatepost_plugin_dnsbl_failures", list="bl.example") == 1


def test_the_other_lists_decide_if_one_does_not_answer():
    zones = {"a.example": {}, "bl.example": {"198.51.100.7": "127.0.0.2"}}
    broken = address_lists(zones, fail=[entry("198.51.100.7", "a.example")])
    refused({"zones": ["a.example", "bl.example"]}, broken)


@pytest.mark.parametrize("answer", ["127.255.255.254", "192.0.2.1", "128.0.0.1"])
def test_an_error_code_or_a_foreign_address_is_no_entry(answer):
    resolver = address_lists({"bl.example": {"198.51.100.7": answer}})
    results = accepted({"zones": ["bl.example"]}, resolver)
    assert [value for value, _ in results] in (["temperror"], ["none"])


MAPPED_1 = ADDRESSES.unlisted[1]


@pytest.mark.parametrize(
    "entries",
    [
        {"127.0.0.1": "127.0.0.2"},  # a wildcard
        {MAPPED_1: "127.0.0.2"},  # a wildcard for IPv6
        {"127.0.0.2": "192.0.2.1"},  # parked
        {"127.0.0.2": []},  # empty
        {"127.0.0.2": "127.255.255.254"},  # blocked
    ],
)
def test_a_list_that_fails_its_test_is_ignored(entries):
    resolver = address_lists({"bl.example": {"198.51.100.7": "127.0.0.2", **entries}})
    with capture_logs() as logs:
        assert accepted({"zones": ["bl.example"]}, resolver) == [("temperror", {})]
    assert of_lists(logs) == [("DNS list failed its test", "bl.example", False)]


def of_lists(logs):
    """Return the log lines about lists as (event, lists, used)."""
    return [
        (one["event"], one["list"], one.get("used"))
        for one in logs
        if one["event"].startswith("DNS list")
    ]


def test_lists_without_an_answer_share_a_line_and_one_that_fails_has_its_own():
    zones = {f"{number}.example": {} for number in range(3)} | {"wild.example": WILDCARD}
    resolver = address_lists(zones)
    resolver._fail |= {entry("127.0.0.1", f"{number}.example") for number in range(3)}
    with capture_logs() as logs:
        accepted({"zones": list(zones)}, resolver)
    assert sorted(of_lists(logs)) == [
        ("DNS list failed its test", "0.example, 1.example, 2.example", False),
        ("DNS list failed its test", "wild.example", False),
    ]


def test_a_list_with_ipv6_entries_only_passes():
    mapped = {entry(ADDRESSES.listed[1], "bl.example"): "127.0.0.2"}
    listed = {entry("2001:db8::7", "bl.example"): "127.0.0.2"}
    refused({"zones": ["bl.example"]}, FakeResolver(a={**mapped, **listed}), CLIENT_6)


@pytest.mark.parametrize("test", ["", "192.0.2.99"])
def test_a_list_can_have_another_test_entry_or_none(test):
    known = {entry("198.51.100.7", "bl.example"): "127.0.0.2"}
    known[entry("192.0.2.99", "bl.example")] = "127.0.0.2"
    table = {"default": "deny", "test": test}
    refused({"zones": {"bl.example": table}}, FakeResolver(a=known))


class Changing(FakeResolver):
    """A resolver that has other records after the first transaction, and a plugin that does it."""

    def __init__(self, before, after):
        super().__init__()
        self.__dict__.update(address_lists({"bl.example": before}).__dict__)
        self.after = address_lists({"bl.example": after})

    def plugin(self):
        resolver = self

        class Change(Plugin):
            def on_reset(self, tx):
                resolver.__dict__.update(resolver.after.__dict__)
                tx.session.notes.clear()  # as a new client

        return Change()


GOOD = {"198.51.100.7": "127.0.0.2"}
WILDCARD = {**GOOD, "127.0.0.1": "127.0.0.2"}


def test_a_list_that_failed_is_tested_each_minute():
    resolver = Changing(before=WILDCARD, after=GOOD)
    transcript = f"{HELLO}{MAIL}{RCPT}C: RSET\nS: 250\nT: 2m\n{MAIL}{REFUSED}"
    plugins = [resolver.plugin(), Dnsbl(zones=["bl.example"])]
    with capture_logs() as logs:
        play(transcript, plugins, resolver=resolver, peer=CLIENT)
    assert ("DNS list passed its test", "bl.example", None) in of_lists(logs)


def test_a_list_that_begins_to_list_everything_is_ignored_within_two_hours():
    resolver = Changing(before=GOOD, after=WILDCARD)
    transcript = f"{HELLO}{MAIL}{REFUSED}C: RSET\nS: 250\nT: 2h\n{MAIL}{RCPT}"
    plugins = [resolver.plugin(), Dnsbl(zones=["bl.example"])]
    play(transcript, plugins, resolver=resolver, peer=CLIENT)


def test_a_test_without_an_answer_changes_nothing():
    resolver = Changing(before=GOOD, after=GOOD)
    resolver.after = FakeResolver(
        a={entry("198.51.100.7", "bl.example"): "127.0.0.2"},
        fail=[entry("127.0.0.1", "bl.example")],
    )
    transcript = f"{HELLO}{MAIL}{REFUSED}C: RSET\nS: 250\nT: 2h\n{MAIL}{REFUSED}"
    plugins = [resolver.plugin(), Dnsbl(zones=["bl.example"])]
    play(transcript, plugins, resolver=resolver, peer=CLIENT)


def test_an_answer_that_decides_is_not_delayed_by_the_others():
    class Slow(FakeResolver):
        """The list a.example never answers about clients."""

        async def a(self, name):
            if name == entry("198.51.100.7", "a.example"):
                await asyncio.Event().wait()
            return await super().a(name)

    tests = {entry("127.0.0.2", zone): "127.0.0.2" for zone in ("a.example", "bl.example")}
    resolver = Slow(a={**tests, entry("198.51.100.7", "bl.example"): "127.0.0.2"})
    refused({"zones": ["a.example", "bl.example"]}, resolver)


def test_the_look_up_of_the_first_client_waits_for_the_test():
    class Slow(FakeResolver):
        """Answers after some turns of the event loop."""

        async def a(self, name):
            for _ in range(20):
                await asyncio.sleep(0)
            return await super().a(name)

    tests = {entry("127.0.0.2", "bl.example"): "127.0.0.2"}
    resolver = Slow(a={**tests, entry("198.51.100.7", "bl.example"): "127.0.0.2"})
    refused({"zones": ["bl.example"]}, resolver)


@given(st.ip_addresses())
def test_any_address_is_looked_up_or_left_out(address):
    accepted({"zones": ["bl.example"]}, domain_lists({"bl.example": {}}), (str(address), 50000))
