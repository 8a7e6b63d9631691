"""The facts about a server that its plugins can read."""

import pytest

from gatepost import Address, Plugin, ServerFacts, defer, deny
from gatepost.plugin.base import Installed
from gatepost.testing import play


@pytest.mark.parametrize(
    ("domain", "local"),
    [
        ("example.com", True),
        ("EXAMPLE.com.", True),
        ("a.sub.example", True),
        ("sub.example", False),
        ("b\xfccher.example", True),
        ("elsewhere.example", False),
        ("[192.0.2.1]", False),
        ("", False),
    ],
)
def test_a_domain_of_the_configuration_is_local(domain, local):
    plugin = Plugin()
    domains = ["example.com", ".sub.example", "xn--bcher-kva.example"]
    play("S: 220", [plugin], config={"recipients": {"domains": domains}})
    assert plugin.server.is_local(domain) is local


@pytest.mark.parametrize(
    ("traps", "decision"),
    [
        ({}, deny("Message refused by local policy", code=554, enhanced="5.7.1", delay=1)),
        (
            {"reply": "450 4.7.1 Later", "delay": "2s"},
            defer("Later", code=450, enhanced="4.7.1", delay=2),
        ),
    ],
)
def test_the_refusal_of_traps_is_that_of_the_configuration(traps, decision):
    plugin = Plugin()
    play("S: 220", [plugin], config={"traps": traps})
    assert plugin.server.trap_refusal.decide("") == decision
    assert plugin.server.trap_refusal.decide("same").reason == "same"


@pytest.mark.parametrize(("verdict", "at_end"), [("data", False), ("end", True), ("hold", True)])
def test_the_refusal_of_traps_has_the_place_of_the_configuration(verdict, at_end):
    plugin = Plugin()
    share = {"hold_share": 0.5} if verdict == "hold" else {}
    play("S: 220", [plugin], config={"traps": {"verdict": verdict, **share}})
    assert plugin.server.trap_refusal.at_end is at_end


@pytest.mark.parametrize("shadow", [True, False])
def test_a_plugin_can_see_that_it_is_in_shadow_mode(shadow):
    plugin = Plugin()
    play("S: 220", [Installed(plugin, shadow=shadow)])
    assert plugin.in_shadow_mode is shadow


def test_the_user_of_an_address_has_no_subaddress():
    plugin = Plugin()
    play("S: 220", [plugin], config={"recipients": {"subaddress": "-"}})
    address = Address.parse("Ann-news+x@example.com")
    assert plugin.server.user_of(address) == "ann"
    assert ServerFacts().user_of(address) == "ann-news"


@pytest.mark.parametrize("address", ["Ann@Example.com", "ann+x@example.com", "bob@example.com"])
def test_an_address_in_a_list_of_recipients_is_known(address):
    plugin = Plugin()
    play("S: 220", [plugin], config={"recipients": {"known": ["ann@example.com"]}})
    assert plugin.server.is_known(Address.parse(address)) == address.lower().startswith("ann")


def test_without_a_server_no_domain_is_local():
    assert not ServerFacts().is_local("example.com")
