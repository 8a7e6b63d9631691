"""The plugins about the client with answers of a real name server (NSD)."""

import asyncio

import pytest
from tools import nsd, peers

from gatepost import Plugin
from gatepost.net.resolver import DnsResolver
from gatepost.plugins.helo import Helo
from gatepost.plugins.iprev import Iprev
from gatepost.plugins.sender_domain import SenderDomain
from gatepost.testing import play_async

HEAD = "$TTL 60\n@ SOA ns.test. root.test. 1 60 60 60 60\n@ NS ns.test.\n"
ZONES = {
    "test": HEAD
    + """
ns       A    127.0.0.1
mx       A    198.51.100.7
mx       AAAA 2001:db8::7
alias    CNAME mx
good     MX   10 MX.test.
null     MX   0 .
gone     MX   10 nowhere.test.
loop     MX   10 ns.test.
text     TXT  "only text"
""",
    "100.51.198.in-addr.arpa": HEAD + "7 PTR Alias.test.\n8 PTR mx.test.\n",
    "8.b.d.0.1.0.0.2.ip6.arpa": HEAD + f"7{'.0' * 23} PTR mx.test.\n",
    "broken": None,
    "113.0.203.in-addr.arpa": None,
}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    try:
        with nsd.running(tmp_path_factory.mktemp("nsd"), ZONES) as port:
            yield port
    except peers.UnavailableError as error:
        pytest.skip(f"nsd is missing: {error}")


class Found(Plugin):
    after = frozenset({"iprev", "helo", "sender_domain"})

    def on_mail(self, tx, sender):
        self.results = tx.results


@pytest.fixture
def results(port):
    """Return a function that returns the results about a client, its name and a sender."""

    def find(address="198.51.100.7", helo="mx.test", domain="good.test"):
        seen = Found()
        transcript = f"S: 220\nC: EHLO {helo}\nS: 250\nC: MAIL FROM:<a@{domain}>\nS: 250"

        async def run():
            resolver = DnsResolver([f"127.0.0.1:{port}"])
            try:
                async with asyncio.timeout(60):
                    plugins = [Iprev(), Helo(), SenderDomain(), seen]
                    await play_async(transcript, plugins, peer=(address, 1), resolver=resolver)
            finally:
                await resolver.close()

        asyncio.run(run())
        return seen.results

    return find


@pytest.mark.parametrize(
    ("address", "value", "name"),
    [
        ("198.51.100.7", "pass", "alias.test"),
        ("198.51.100.8", "fail", ""),
        ("198.51.100.9", "permerror", ""),
        ("2001:db8::7", "pass", "mx.test"),
        ("203.0.113.1", "temperror", ""),
    ],
)
def test_the_name_of_a_client(results, address, value, name):
    iprev = results(address)["iprev"]
    assert (iprev.value, iprev.facts["name"].lower()) == (value, name)


@pytest.mark.parametrize(
    ("helo", "value"),
    [
        ("alias.test", "pass"),
        ("ns.test", "elsewhere"),
        ("good.test", "elsewhere"),
        ("text.test", "unresolved"),
        ("nowhere.test", "unresolved"),
        ("x.broken", "temperror"),
    ],
)
def test_the_name_in_helo(results, helo, value):
    assert results(helo=helo).value("helo") == value


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        ("good.test", "pass"),
        ("alias.test", "pass"),
        ("null.test", "null_mx"),
        ("gone.test", "dangling"),
        ("loop.test", "bogus"),
        ("text.test", "missing"),
        ("nowhere.test", "missing"),
        ("x.broken", "temperror"),
    ],
)
def test_the_domain_of_a_sender(results, domain, value):
    assert results(domain=domain).value("sender_domain") == value
