"""Messages with links to domains on DNS lists."""

import pytest
from tests.plugins.lists import CLIENT, HELLO, MAIL, RCPT, asked, domain_lists

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugins import _suffixes
from gatepost.plugins.uribl import Uribl
from gatepost.testing import FakeResolver, play

pytest.importorskip("publicsuffixlist")
LISTED = {"bad.example": "127.0.1.2"}


class Results(Plugin):
    """Keeps the results of the message."""

    after = frozenset({"uribl"})

    def start(self):
        self.found = []

    def on_message(self, tx):
        found = tx.results.all("uribl")
        self.found = [(one.value, one.facts.get("domain"), one.score) for one in found]


def message(*lines):
    return "\nC: ".join(["C: DATA\nS: 354\nC: Subject: x", "", *lines, "."]) + "\n"


def refused(line, entries=LISTED, **options):
    text = "S: 554 5.7.1 Message has a link to bad.example, which is listed in dl.example*"
    plugins = [Uribl(**{"zones": ["dl.example"], **options})]
    resolver = domain_lists({"dl.example": entries})
    transcript = HELLO + MAIL + RCPT + message(line) + text
    return play(transcript, plugins, resolver=resolver, peer=CLIENT)


def accepted(*lines, entries=LISTED, resolver=None, **options):
    """Play a message that is accepted; return the results."""
    results = Results()
    plugins = [results, Uribl(**{"zones": ["dl.example"], **options})]
    resolver = resolver or domain_lists({"dl.example": entries})
    transcript = HELLO + MAIL + RCPT + message(*lines) + "S: 250"
    play(transcript, plugins, resolver=resolver, peer=CLIENT)
    return results.found


@pytest.mark.parametrize(
    "line", ["http://bad.example/", "see www.Bad.example.", "http://a.b.bad.example:80/x"]
)
def test_a_message_with_a_listed_link_is_refused(line):
    played = refused(line)
    assert [(one.hook, one.reason) for one in played.decisions] == [("message", "uribl")]


def test_a_large_message_is_searched_too():
    line = "x" * 900
    lines = [line] * 100
    accepted(*lines, "http://good.example")
    accepted(*lines, "http://bad.example", scan="64KiB")
    results = accepted(*lines, "http://bad.example", listed=1)
    assert results == [("listed", "bad.example", 1)]


def test_a_message_without_links_has_no_result():
    assert accepted("text") == []
    assert accepted("http://good.example/") == [("none", None, 0)]


def test_a_list_gives_points_once():
    entries = {"bad.example": "127.0.1.2", "worse.example": "127.0.1.4"}
    zones = {"dl.example": {"127.0.1.4": 5, "default": 2}}
    found = accepted("http://bad.example http://worse.example", entries=entries, zones=zones)
    assert found == [("listed", "worse.example", 5)]


def test_the_registered_domain_is_that_of_the_public_suffix_list():
    resolver = FakeResolver(a={"test.dl.example": "127.0.0.2"})
    accepted("http://a.b.example.co.uk http://x.y.z.example http://co.uk", resolver=resolver)
    names = [one.removesuffix(".dl.example") for one in asked(resolver)[2:]]
    assert names == ["example.co.uk", "z.example"]


def test_well_known_and_exempt_domains_are_not_looked_up():
    resolver = FakeResolver(a={"test.dl.example": "127.0.0.2"})
    accepted("http://www.w3.org/ http://a.google.com", resolver=resolver)
    assert len(asked(resolver)) == 2
    accepted("http://a.bad.example", exempt=["bad.example"])


def test_addresses_are_looked_up_if_the_list_has_them():
    entries = {"192.0.2.7": "127.0.0.2"}
    assert accepted("http://192.0.2.7/", entries=entries) == []
    found = accepted("http://192.0.2.7/", entries=entries, addresses=True, listed=4)
    assert found == [("listed", "192.0.2.7", 4)]


def test_at_most_so_many_domains_are_looked_up():
    resolver = FakeResolver(a={"test.dl.example": "127.0.0.2"})
    accepted(" ".join(f"http://d{n}.example" for n in range(50)), resolver=resolver, most=3)
    names = [one.removesuffix(".dl.example") for one in asked(resolver)[2:]]
    assert names == ["d0.example", "d1.example", "d49.example"]
    resolver.asked.clear()
    accepted("http://a.example http://b.example", resolver=resolver, most=1)
    assert asked(resolver)[2:] == ["a.example.dl.example"]


def test_a_list_without_an_answer_has_no_effect():
    broken = domain_lists({"dl.example": {}}, fail=["bad.example.dl.example"])
    assert accepted("http://bad.example", resolver=broken) == [("temperror", None, 0)]


def test_a_list_that_lists_everything_is_ignored():
    entries = {**LISTED, "invalid": "127.0.1.2"}
    assert accepted("http://bad.example", entries=entries) == [("temperror", None, 0)]


def test_shadow_mode_refuses_nothing():
    shadow = Installed(Uribl(zones=["dl.example"]), shadow=True)
    transcript = HELLO + MAIL + RCPT + message("http://bad.example") + "S: 250"
    resolver = domain_lists({"dl.example": LISTED})
    assert play(transcript, [shadow], resolver=resolver, peer=CLIENT).decisions == []


def test_options_are_checked():
    with pytest.raises(ValueError, match="most: expected 1 to 100 domains, found 0"):
        Uribl(zones=["dl.example"], most=0)


def test_without_the_public_suffix_list_the_plugin_cannot_be_used(monkeypatch):
    monkeypatch.setattr(_suffixes, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install gatepost\[uribl\]"):
        Uribl(zones=["dl.example"])
