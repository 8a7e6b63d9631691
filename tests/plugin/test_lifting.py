"""Which decisions an entry of `gatepost allow` lifts, by what is known and by the status."""

import pytest

from gatepost.allow.entries import AllowList
from gatepost.allow.entry import Entry
from gatepost.model.address import NULL_PATH, Address
from gatepost.model.decision import defer, deny, hold
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.host import PluginHost
from gatepost.plugin.lifting import HOOKS, Lifting, is_kept
from gatepost.plugin.virtual_clock import VirtualClock

REFUSED = deny("no", reason="listed")


def lifting(*names, until=2e9, traps=False):
    entries = [Entry(name, until, 0.0, "alice", "why", traps) for name in names]
    return Lifting(AllowList(entries), VirtualClock("2024-01-01"))


def session(host="192.0.2.1"):
    return Session("s", Endpoint(host, 5), Endpoint("192.0.2.25", 25), 0.0)


def transaction(*recipients, sender="kim@example.org", host="192.0.2.1", results=()):
    path = Address.parse(sender) if sender else NULL_PATH
    tx = Transaction("t", session(host), path, {}, 0.0)
    set_fact(tx, "recipients", [recipient(one) for one in recipients])
    for name, value, facts in results:
        tx.results.add(name, value, **facts)
    return tx


def recipient(text):
    local, _, domain = text.partition("@")
    return Recipient(Address(local, domain), {}, local.partition("+")[0], domain)


def lifted(name, *args, decision=REFUSED):
    entry = lifting(name).entry_for(decision, args)
    return entry is not None


SPF = ("spf", "pass", {"domain": "example.org", "mailfrom": "kim@example.org"})
DKIM = ("dkim", "pass", {"domain": "example.org"})


def test_a_client_is_known_from_the_connection_on():
    for subject in (Endpoint("192.0.2.1", 5), session(), transaction()):
        assert lifted("192.0.2.0/24", subject)
        assert not lifted("198.51.100.0/24", subject)


@pytest.mark.parametrize("what", ["example.org", "kim@example.org"])
@pytest.mark.parametrize(
    "results",
    [
        [],
        [("spf", "fail", SPF[2])],
        [("spf", "softfail", SPF[2])],
        [("spf", "pass", {"helo": "example.org"})],
        [SPF, ("spf", "none", {})],
        [("dkim", "fail", DKIM[2])],
        [("dkim", "pass", {})],
        [("dkim", "pass", {"domain": "other.example"})],
        [("dmarc", "pass", {"domain": "example.org"})],
    ],
)
def test_a_sender_that_is_not_proven_does_not_profit(what, results):
    assert not lifted(what, transaction(results=results))


def test_spf_proves_the_domain_and_the_sender():
    assert lifted("example.org", transaction(results=[SPF]))
    assert lifted("kim@example.org", transaction(results=[SPF]))
    assert lifted("kim@example.org", transaction(sender="KIM@Example.ORG", results=[SPF]))
    assert not lifted("lee@example.org", transaction(results=[SPF]))


def test_a_signature_proves_its_domain_but_no_sender():
    """A signed message can be sent again with another envelope."""
    tx = transaction(sender="kim@example.org", results=[("spf", "fail", {}), DKIM])
    assert lifted("example.org", tx)
    assert not lifted("kim@example.org", tx)


def test_spf_of_the_name_in_helo_proves_no_sender():
    tx = transaction(sender="", results=[("spf", "pass", {"helo": "mail.example.org"})])
    assert not lifted("example.org", tx)


def test_an_entry_for_a_recipient_is_about_the_recipient_of_the_command():
    tx, bob = transaction("eve@example.com"), recipient("bob+tag@example.com")
    assert lifted("to:bob@example.com", tx, bob)
    assert not lifted("to:bob@example.com", tx)
    assert not lifted("to:eve@example.com", tx, bob)


def test_an_entry_for_a_recipient_is_about_messages_to_them_alone():
    assert lifted("to:bob@example.com", transaction("bob@example.com"))
    tx = transaction("bob@example.com", "eve@example.com")
    assert not lifted("to:bob@example.com", tx)
    only_bob = deny("no", recipients=[tx.recipients[0]])
    assert lifted("to:bob@example.com", tx, decision=only_bob)


@pytest.mark.parametrize(
    "decision",
    [
        *(deny("no", enhanced=f"5.{one}") for one in ("1.1", "1.2", "2.1", "2.2", "3.4", "4.6")),
        defer("later", enhanced="4.3.5"),
        defer("later", enhanced="4.2.1"),
    ],
)
def test_a_decision_about_something_else_stays(decision):
    assert is_kept(decision)
    assert not lifted("192.0.2.0/24", session(), decision=decision)


@pytest.mark.parametrize(
    "decision",
    [
        deny("no"),
        defer("later"),
        hold("odd"),
        *(deny("no", enhanced=f"5.{one}") for one in ("1.7", "1.8", "5.1", "6.0", "7.1", "7.26")),
        defer("later", enhanced="4.7.1"),
    ],
)
def test_a_decision_about_sender_or_content_is_lifted(decision):
    assert not is_kept(decision)
    assert lifted("192.0.2.0/24", session(), decision=decision)


def test_an_entry_has_no_effect_after_its_end():
    clock = VirtualClock("2024-01-01")
    entry = Entry("192.0.2.0/24", clock.time() + 60, 0.0, "alice", "why")
    found = Lifting(AllowList([entry]), clock)
    clock.move_to(entry.until - 0.001)
    assert found.entry_for(REFUSED, (session(),)) is entry
    clock.move_to(entry.until)
    assert found.entry_for(REFUSED, (session(),)) is None


def test_traps_are_lifted_only_by_an_entry_for_them():
    tx = transaction(results=[SPF])
    assert lifting().entry_for_traps(tx) is None
    assert lifting("example.org").entry_for_traps(tx) is None
    assert lifting("example.org", traps=True).entry_for_traps(tx) is not None


class Careful(Plugin):
    """Keeps its decisions, and decides everywhere."""

    keeps_decisions = True

    def on_connect(self, _session):
        return REFUSED

    def on_auth(self, _session, _attempt):
        return REFUSED

    def on_deliver(self, _tx):
        return REFUSED


class Usual(Careful):
    """Does not keep its decisions."""

    keeps_decisions = False


@pytest.mark.parametrize(
    ("kind", "allowed", "is_lifted"),
    [
        (Usual, "auto", True),
        (Usual, "keep", False),
        (Usual, "lift", True),
        (Careful, "auto", False),
        (Careful, "lift", True),
        (Careful, "keep", False),
    ],
)
def test_a_plugin_keeps_its_decisions_by_its_class_or_as_configured(kind, allowed, is_lifted):
    host = PluginHost([Installed(kind(), allowed=allowed)], lifting=lifting("192.0.2.0/24"))
    [bound] = host.chains["connect"].deciders
    assert (bound.check(REFUSED, (session(),)) is None) == is_lifted


@pytest.mark.parametrize("hook", ["auth", "deliver"])
def test_other_hooks_are_not_lifted(hook):
    host = PluginHost([Installed(Usual())], lifting=lifting("192.0.2.0/24"))
    [bound] = host.chains[hook].deciders
    assert hook not in HOOKS
    assert bound.lifting is None


def test_without_entries_a_decision_stays():
    host = PluginHost([Installed(Usual())], lifting=lifting())
    [bound] = host.chains["connect"].deciders
    answer = bound.check(REFUSED, (session(),))
    assert answer is not None
    assert answer.decision is REFUSED
