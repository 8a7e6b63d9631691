"""The plugins with DNS lists and a real server of lists (rbldnsd)."""

import pytest
from structlog.testing import capture_logs
from tests.plugins.lists import CLIENT, HELLO, MAIL, MESSAGE, RCPT
from tools import peers, rbldnsd

from gatepost import Plugin
from gatepost.net.cached_resolver import CachedResolver
from gatepost.net.resolver import DnsResolver
from gatepost.plugins.dnsbl import Dnsbl
from gatepost.plugins.dnswl import Dnswl
from gatepost.plugins.rhsbl import Rhsbl
from gatepost.plugins.uribl import Uribl
from gatepost.testing import play

MAPPED_2 = "0:0:0:0:0:ffff:7f00:2"
ZONES = {
    "ip4.test": ("ip4set", ":127.0.0.2:see https://ip4.test/?ip=$\n127.0.0.2\n198.51.100.7\n"),
    "ip6.test": ("ip6trie", f":127.0.0.3:see ip6\n{MAPPED_2}\n2001:db8:7::/48\n"),
    "wild.test": ("ip4set", ":127.0.0.2:everything\n127.0.0.0/8\n198.51.100.0/24\n"),
    "empty.test": ("ip4set", ":127.0.0.2:nothing\n198.51.100.7\n"),
    "blocked.test": ("ip4set", ":127.255.255.254:public resolver\n127.0.0.0/8\n198.51.100.0/24\n"),
    "parked.test": ("ip4set", ":192.0.2.1:parked\n127.0.0.0/8\n198.51.100.0/24\n"),
    "wl.test": ("ip4set", ":127.0.5.2:client.example\n127.0.0.2\n198.51.100.9\n"),
    "dom.test": ("dnset", ":127.0.1.2:see https://dom.test/\ntest\n.bad.example\n"),
    "all.test": ("dnset", ":127.0.1.2:everything\n.example\ntest\ninvalid\n"),
}
CLIENT_6 = ("2001:db8:7::25", 50000)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    try:
        with rbldnsd.running(tmp_path_factory.mktemp("rbldnsd"), ZONES) as port:
            yield port
    except peers.UnavailableError as error:
        pytest.skip(str(error))


class Results(Plugin):
    """Keeps all results of the first recipient."""

    def start(self):
        self.found = []

    def on_rcpt(self, tx, rcpt):
        self.found = [(one.name, one.value) for one in tx.results]


@pytest.fixture
def dialogue(port):
    """Play a transcript behind HELLO; return what was played and the results at RCPT."""

    def dialogue(plugin, transcript, peer=CLIENT):
        results = Results()
        resolver = CachedResolver(DnsResolver([f"127.0.0.1:{port}"], timeout=20))
        played = play(HELLO + transcript, [results, plugin], resolver=resolver, peer=peer)
        return played, results.found

    return dialogue


def refused(text):
    return f"{MAIL}C: RCPT TO:<user@example.com>\nS: 550 5.7.1 {text}"


def test_a_listed_client_is_refused_with_the_text_of_the_list(dialogue):
    text = "198.51.100.7 is listed in ip4.test: see https://ip4.test/?ip=198.51.100.7"
    dialogue(Dnsbl(zones=["ip4.test", "ip6.test"]), refused(text))


def test_a_client_that_is_not_listed_is_accepted(dialogue):
    _, results = dialogue(Dnsbl(zones=["ip4.test"]), MAIL + RCPT, ("198.51.100.8", 1))
    assert results == [("dnsbl", "none")]


def test_an_ipv6_client_is_refused(dialogue):
    plugin = Dnsbl(zones=["ip4.test", "ip6.test"])
    dialogue(plugin, refused("2001:db8:7::25 is listed in ip6.test: see ip6"), CLIENT_6)
    _, results = dialogue(plugin, MAIL + RCPT, ("2001:db8:8::25", 1))
    assert results == [("dnsbl", "none")]


@pytest.mark.parametrize(
    ("zone", "problem"),
    [
        ("wild", "it lists 127.0.0.1, which no list has"),
        ("empty", "it does not have the test entry 127.0.0.2"),
        ("parked", "it does not have the test entry 127.0.0.2"),
        ("blocked", "the list answers with the error 127.255.255.254"),
        ("gone", "server refused query"),
    ],
)
def test_a_list_that_does_not_work_is_ignored(zone, problem, dialogue):
    with capture_logs() as logs:
        _, results = dialogue(Dnsbl(zones=[f"{zone}.test"]), MAIL + RCPT)
    assert results == [("dnsbl", "temperror")]
    (line,) = [one for one in logs if one["event"] == "DNS list failed its test"]
    assert (line["list"], line["used"]) == (f"{zone}.test", False)
    assert problem in line["problem"]


def test_a_client_on_an_allow_list_gets_a_pass(dialogue):
    plugin = Dnswl(zones=["wl.test"], explain=True)
    played, results = dialogue(plugin, MAIL + RCPT + MESSAGE, ("198.51.100.9", 1))
    assert results == [("dnswl", "pass")]
    content = b" ".join(played.messages[0].content.split())
    assert b"dns.zone=wl.test policy.ip=127.0.5.2 policy.txt=client.example" in content


def test_a_listed_sender_domain_is_refused(dialogue):
    text = "Sender domain mail.bad.example is listed in dom.test: see https://dom.test/"
    transcript = refused(text).replace("sender.example", "mail.bad.example")
    dialogue(Rhsbl(zones=["dom.test"]), transcript)


def test_a_domain_list_that_lists_everything_is_ignored(dialogue):
    _, results = dialogue(Rhsbl(zones=["all.test"]), MAIL + RCPT)
    assert results == [("rhsbl", "temperror")]


def test_a_listed_link_is_refused(dialogue):
    pytest.importorskip("publicsuffixlist")
    text = "Message has a link to bad.example, which is listed in dom.test: see https://dom.test/"
    message = MESSAGE.replace("text", "http://www.bad.example/").replace("250", f"554 5.7.1 {text}")
    dialogue(Uribl(zones=["dom.test"]), MAIL + RCPT + message)
