"""Senders, HELO names and reverse names on DNS lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.lists import CLIENT, HELLO, MAIL, RCPT, asked, domain_lists

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugins.rhsbl import Rhsbl
from gatepost.testing import FakeResolver, play


class Iprev(Plugin):
    """Stands for the shipped plugin."""

    def on_connect(self, session):
        session.results.add("iprev", "pass", ip=session.peer.host, name="Host.Reverse.example")


class Results(Plugin):
    """Keeps the results of each message at RCPT."""

    def start(self):
        self.found = []

    def on_rcpt(self, tx, rcpt):
        found = tx.results.all("rhsbl")
        self.found.append([(one.value, one.facts.get("domain"), one.score) for one in found])


def refused(entries, text, mail=MAIL, **options):
    transcript = f"C: RCPT TO:<user@example.com>\nS: 550 5.7.1 {text} is listed in dl.example*"
    plugins = [Iprev(), Rhsbl(**{"zones": ["dl.example"], **options})]
    resolver = domain_lists({"dl.example": entries})
    return play(HELLO + mail + transcript, plugins, resolver=resolver, peer=CLIENT)


def accepted(entries, mail=MAIL, resolver=None, **options):
    """Play a recipient that is accepted; return the results."""
    results = Results()
    plugins = [Iprev(), results, Rhsbl(**{"zones": ["dl.example"], **options})]
    resolver = resolver or domain_lists({"dl.example": entries})
    play(HELLO + mail + RCPT, plugins, resolver=resolver, peer=CLIENT)
    return results.found[0]


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ("sender.example", "Sender domain sender.example"),
        ("client.example", "HELO name client.example"),
        ("host.reverse.example", "Reverse name host.reverse.example"),
    ],
)
def test_each_name_is_looked_up(domain, text):
    played = refused({domain: "127.0.1.2"}, text)
    assert [(one.hook, one.reason) for one in played.decisions] == [("rcpt", "rhsbl")]


def test_names_can_be_left_out():
    listed = {"client.example": "127.0.1.2", "host.reverse.example": "127.0.1.2"}
    assert accepted(listed, check=["sender"]) == [("none", None, 0)]


def test_a_list_gives_points_once():
    listed = {"client.example": "127.0.1.2", "sender.example": "127.0.1.2"}
    assert accepted(listed, listed=3) == [("listed", "sender.example", 3)]


def test_points_refuse_at_the_threshold():
    refused({"sender.example": "127.0.1.2"}, "Sender domain sender.example", listed=3, threshold=3)


def test_parents_are_looked_up_if_the_list_requires_it():
    listed = {"reverse.example": "127.0.1.2"}
    assert accepted(listed) == [("none", None, 0)]
    refused(listed, "Reverse name reverse.example", parents=True)


def test_a_domain_in_unicode_is_looked_up_as_a_labels():
    mail = "C: MAIL FROM:<a@b\u00fccher.example> SMTPUTF8\nS: 250\n"
    refused({"xn--bcher-kva.example": "127.0.1.2"}, "Sender domain xn--bcher-kva.example", mail)


@pytest.mark.parametrize("sender", ["", "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "a@localhost"])
def test_a_sender_without_a_domain_is_not_looked_up(sender):
    mail = f"C: MAIL FROM:<{sender}>\nS: 250\n"
    assert accepted({}, mail, check=["sender"]) == []


def test_another_sender_in_the_same_session_is_looked_up():
    mail = MAIL.replace("sender.example", "bad.example")
    transcript = f"{RCPT}C: RSET\nS: 250\n{mail}C: RCPT TO:<user@example.com>\nS: 550"
    resolver = domain_lists({"dl.example": {"bad.example": "127.0.1.2"}})
    play(HELLO + MAIL + transcript, [Rhsbl(zones=["dl.example"])], resolver=resolver, peer=CLIENT)


def test_postmaster_is_accepted():
    transcript = "C: RCPT TO:<postmaster@example.com>\nS: 250"
    resolver = domain_lists({"dl.example": {"sender.example": "127.0.1.2"}})
    play(HELLO + MAIL + transcript, [Rhsbl(zones=["dl.example"])], resolver=resolver, peer=CLIENT)


def test_shadow_mode_refuses_nothing():
    resolver = domain_lists({"dl.example": {"sender.example": "127.0.1.2"}})
    shadow = Installed(Rhsbl(zones=["dl.example"]), shadow=True)
    assert play(HELLO + MAIL + RCPT, [shadow], resolver=resolver, peer=CLIENT).decisions == []


def test_a_list_without_an_answer_has_no_effect():
    broken = domain_lists({"dl.example": {}}, fail=["sender.example.dl.example"])
    assert accepted({}, resolver=broken, check=["sender"]) == [("temperror", None, 0)]


def test_a_list_that_lists_everything_is_ignored():
    listed = {"sender.example": "127.0.1.2", "invalid": "127.0.1.2"}
    assert accepted(listed) == [("temperror", None, 0)]


def test_a_name_is_looked_up_once_with_all_its_parents():
    resolver = FakeResolver(a={"test.dl.example": "127.0.0.2"})
    labels = ".".join("abcdefghij")
    mail = f"C: MAIL FROM:<a@{labels}.example>\nS: 250\n"
    accepted({}, mail, resolver, check=["sender", "helo"], parents=True)
    names = [one.removesuffix(".dl.example") for one in asked(resolver)]
    parents = ["f.g.h.i.j", "g.h.i.j", "h.i.j", "i.j", "j"]
    expected = [f"{one}.example" for one in (labels, *parents, "client")]
    assert names == ["invalid", "test", *expected]


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="<>"), min_size=1)
)
def test_any_helo_name_is_looked_up_or_left_out(name):
    transcript = f"S: 220\nC: HELO {name}\nS: *\n"
    resolver = domain_lists({"dl.example": {}})
    play(transcript, [Rhsbl(zones=["dl.example"])], resolver=resolver, peer=CLIENT)
