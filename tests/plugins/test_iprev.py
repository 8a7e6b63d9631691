"""The reverse name of a client that is confirmed, unconfirmed, generic or missing."""

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost import Plugin, accept
from gatepost.plugin.base import Installed
from gatepost.plugins.iprev import Iprev, is_generic
from gatepost.testing import FakeResolver, play

PEER = ("198.51.100.7", 50000)
OTHER = "198.51.100.8"
MX = "mx.client.example"
CONFIRMED = FakeResolver(ptr={PEER[0]: MX}, hosts={MX: PEER[0]})
ELSEWHERE = FakeResolver(ptr={PEER[0]: MX}, hosts={MX: OTHER})
DOWN = FakeResolver(fail=[PEER[0]])
POOL = "dsl-198-51-100-7.isp.example"
GENERIC = FakeResolver(ptr={PEER[0]: POOL}, hosts={POOL: PEER[0]})

HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<{user}@example.com>
    S: {reply}
"""


class Found(Plugin):
    """Keeps the result of the last session."""

    def on_helo(self, session, name):
        self.result = session.results.get("iprev")


def found(resolver, peer=PEER, **options):
    seen = Found()
    play(
        "S: 220\nC: EHLO x.example\nS: 250", [Iprev(**options), seen], peer=peer, resolver=resolver
    )
    return seen.result


@pytest.mark.parametrize(
    ("resolver", "value", "score", "name"),
    [
        (CONFIRMED, "pass", 0, MX),
        (GENERIC, "pass", 2, POOL),
        (ELSEWHERE, "fail", 2, ""),
        (None, "permerror", 3, ""),
        (DOWN, "temperror", 0, ""),
    ],
)
def test_the_result_has_the_confirmed_name_and_points(resolver, value, score, name):
    result = found(resolver)
    assert (result.value, result.score, result.facts["name"]) == (value, score, name)
    assert result.facts["ip"] == PEER[0]


def test_the_address_is_looked_up_once_in_a_session():
    asked = []

    class Counting(FakeResolver):
        async def ptr(self, address):
            asked.append(address)
            return await super().ptr(address)

    twice = "S: 220\n" + "C: EHLO x.example\nS: 250\n" * 2
    play(twice, [Iprev()], peer=PEER, resolver=Counting())
    assert asked == [PEER[0]]


@pytest.mark.parametrize("address", ["2001:db8:1::7", "::ffff:198.51.100.7"])
def test_addresses_of_ipv6(address):
    dns = FakeResolver(
        ptr={"2001:db8:1::7": MX, PEER[0]: MX}, hosts={MX: ["2001:db8:1::7", PEER[0]]}
    )
    assert found(dns, peer=(address, 1)).value == "pass"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "fe80::1", "local", "fe80::1%eth0"])
def test_internal_clients_are_not_looked_up(address):
    assert found(None, peer=(address, 1)) is None


@pytest.mark.parametrize(
    ("option", "resolver", "text"),
    [
        ("missing", None, "5.7.25 Your IP address has no reverse name"),
        (
            "unconfirmed",
            ELSEWHERE,
            "5.7.25 The reverse name of your IP address does not lead to it",
        ),
        ("generic", GENERIC, "5.7.25 The name of your IP address is not that of a server"),
        ("temperror", DOWN, "5.7.25 Looking up your IP address failed"),
    ],
)
def test_each_finding_can_refuse_and_defer_a_recipient(option, resolver, text):
    denied = HELLO.format(user="user", reply=f"550 {text}*")
    played = play(denied, [Iprev(**{option: "deny"})], peer=PEER, resolver=resolver)
    expected = "missing" if option == "missing" else option
    assert [(one.hook, one.reason) for one in played.decisions] == [("rcpt", expected)]
    assert played.metrics.value("gatepost_plugin_iprev_found", finding=expected) == 1
    deferred = HELLO.format(user="user", reply=f"450 4{text[1:]}*")
    play(deferred, [Iprev(**{option: "defer"})], peer=PEER, resolver=resolver)


def test_by_default_nothing_is_refused():
    for resolver in (None, ELSEWHERE, GENERIC, DOWN):
        play(HELLO.format(user="user", reply="250"), [Iprev()], peer=PEER, resolver=resolver)


def test_a_client_can_be_refused_at_each_helo():
    refused = "S: 220\n" + "C: EHLO x.example\nS: 550 5.7.25 Your IP*\n" * 2
    play(refused, [Iprev(missing="deny", decide_at="helo")], peer=PEER)


def test_the_postmaster_gets_mail_of_every_client():
    play(HELLO.format(user="Postmaster", reply="250"), [Iprev(missing="deny")], peer=PEER)


def test_a_domain_has_a_reaction_of_its_own():
    lenient = Iprev(missing="deny", options_for={"example.com": {"missing": "none"}})
    play(HELLO.format(user="user", reply="250"), [lenient], peer=PEER)


def test_an_authenticated_client_is_exempt():
    transcript = """
        S: 220
        C: EHLO client.example
        S: 250
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235
        C: MAIL FROM:<ann@example.com>
        S: 250
        C: RCPT TO:<user@example.com>
        S: 250
    """

    class Anyone(Plugin):
        def on_auth(self, session, attempt):
            return accept()

    config = {"listen": [{"address": "127.0.0.1:2525", "auth": True}], "auth": {"clear": True}}
    play(transcript, [Iprev(missing="deny"), Anyone()], peer=PEER, config=config)


def test_a_client_of_a_relay_network_is_not_looked_up():
    config = {"route": [{"for": ["*"], "to": "discard:", "relay_for": ["198.51.100.0/24"]}]}
    seen = Found()
    hello = "S: 220\nC: EHLO x.example\nS: 250"
    play(hello, [Iprev(), seen], peer=PEER, config=config)
    assert seen.result is None


def test_in_shadow_mode_nothing_is_refused():
    shadow = Installed(Iprev(missing="deny"), shadow=True)
    played = play(HELLO.format(user="user", reply="250"), [shadow], peer=PEER)
    assert played.decisions == []


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("198-51-100-7.isp.example", PEER[0]),
        ("7.100.51.198.in-pool.isp.example", PEER[0]),
        ("HOST198x51x100x7.isp.example", PEER[0]),
        ("c6336407.isp.example", PEER[0]),
        ("198051100007.isp.example", PEER[0]),
        ("dsl-100-7.isp.example", PEER[0]),
        ("p7-100.dynamic.isp.co.example", PEER[0]),
        ("2001-db8-1-0-0-0-0-7.v6.isp.example", "2001:db8:1::7"),
        ("20010db8000100000000000000000007.isp.example", "2001:db8:1::7"),
    ],
)
def test_a_name_made_of_the_address_is_generic(name, address):
    assert is_generic(name, ip_address(address))


@pytest.mark.parametrize(
    "name",
    [
        "mx.client.example",
        "198-51-100-7.example",
        "mail-198-51-100-7.isp.example",
        "static.7.100.51.198.clients.isp.example",
        "1198-51-100-7.isp.example",
        "198-51-100-77.isp.example",
        "dsl-9-9.isp.example",
        "",
        ".",
    ],
)
def test_other_names_are_not_generic(name):
    assert not is_generic(name, ip_address(PEER[0]))


@given(st.text(max_size=300), st.ip_addresses())
def test_any_name_is_read(name, address):
    assert is_generic(name, address) in (True, False)


@given(st.ip_addresses(v=4), st.sampled_from("-._x"), st.booleans())
def test_the_address_is_found_with_any_separator(address, separator, backwards):
    octets = str(address).split(".")
    made = separator.join(octets[::-1] if backwards else octets)
    assert is_generic(f"{made}.pool.isp.example", address)
    assert re.fullmatch(r"[0-9x._-]+", made)
