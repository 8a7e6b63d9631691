"""The scope of a plugin: listeners and conditions of the configuration."""

from ipaddress import ip_network

import pytest

from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.model.session import AuthFacts, Recipient, Session, Transaction
from gatepost.plugin.scope import Conditions, Scope

HERE = (ip_network("192.0.2.0/24"),)
ELSEWHERE = (ip_network("198.51.100.0/24"),)


def session(*, auth=None, listener="mx"):
    peer, local = Endpoint("192.0.2.1", 5), Endpoint("192.0.2.25", 25)
    return Session("s", peer, local, 0.0, auth=auth, listener=listener)


def transaction(of, *domains):
    tx = Transaction("t", of, Address("a", "client.example"), {}, 0.0)
    set_fact(tx, "recipients", [recipient(domain) for domain in domains])
    return tx


def recipient(domain):
    return Recipient(Address("b", domain), {}, "b", domain)


LOGGED_IN = session(auth=AuthFacts("u", "PLAIN"))
STRANGER = session()


@pytest.mark.parametrize(
    ("conditions", "args", "met"),
    [
        (Conditions(authenticated=True), (LOGGED_IN,), True),
        (Conditions(authenticated=True), (STRANGER,), False),
        (Conditions(authenticated=False), (STRANGER,), True),
        (Conditions(authenticated=False), (transaction(LOGGED_IN),), False),
        (Conditions(networks=HERE), (STRANGER,), True),
        (Conditions(networks=HERE), (transaction(STRANGER),), True),
        (Conditions(networks=ELSEWHERE), (STRANGER,), False),
        (Conditions(domains=frozenset({"a.example"})), (STRANGER,), False),
        (Conditions(domains=frozenset({"a.example"})), (transaction(STRANGER),), False),
        (
            Conditions(domains=frozenset({"a.example"})),
            (transaction(STRANGER, "b.example", "a.example"),),
            True,
        ),
        (
            Conditions(domains=frozenset({"a.example"})),
            (transaction(STRANGER, "a.example"), recipient("b.example")),
            False,
        ),
        (Conditions(results={"spf": "pass"}), (STRANGER,), False),
        (Conditions(results={"spf": "pass"}), (transaction(STRANGER),), False),
    ],
)
def test_only_and_unless_are_opposites_for_one_condition(conditions, args, met):
    assert Scope(only=conditions).covers(args) is met
    assert Scope(unless=conditions).covers(args) is not met


def test_results_of_other_plugins_count():
    tx = transaction(STRANGER)
    tx.results.add("spf", "fail")
    tx.results.add("spf", "pass")
    assert Scope(only=Conditions(results={"spf": "pass"})).covers((tx,))
    assert not Scope(only=Conditions(results={"spf": "fail"})).covers((tx,))


def test_every_condition_of_only_is_required_and_one_of_unless_is_enough():
    mixed = Conditions(authenticated=True, networks=HERE)
    assert not Scope(only=mixed).covers((STRANGER,))
    assert not Scope(unless=mixed).covers((STRANGER,))
    assert Scope(only=mixed).covers((LOGGED_IN,))


def test_listeners_limit_the_sessions():
    scope = Scope(listen=frozenset({"mx", "lan"}))
    assert scope.covers((STRANGER,))
    assert not scope.covers((session(listener="submission"),))
    assert not scope.covers((transaction(session(listener="")),))
