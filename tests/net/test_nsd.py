"""DNS lookups at a real name server (NSD), with a zone for each case."""

import asyncio
import socket
from ipaddress import ip_address

import pytest
from tools import nsd, peers

from gatepost import Endpoint, Plugin, defer, deny
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import DnsResolver
from gatepost.testing import play

HEAD = "$TTL 60\n@ SOA ns.example. root.example. 1 60 60 60 60\n@ NS ns.example.\n"
LONG = " ".join(f'"{n:03}{"x" * 200}"' for n in range(20))
ZONES = {
    "example": HEAD
    + f"""
ns        A     127.0.0.1
host      A     192.0.2.1
host      A     192.0.2.2
host      AAAA  2001:db8::1
alias     CNAME second
second    CNAME host
dangling  CNAME gone
empty     CNAME text
xn--bcher-kva A 192.0.2.9
mail      MX    20 B.example.
mail      MX    10 a.example.
null      MX    0 .
text      TXT   "v=spf1 ip4:192.0.2.0/24" " -all"
text      TXT   "other"
utf       TXT   "b\\195\\188cher"
binary    TXT   "\\255"
long      TXT   {LONG}
""",
    "2.0.192.in-addr.arpa": HEAD + "1 PTR Host.example.\n1 PTR other.example.\n",
    "8.b.d.0.1.0.0.2.ip6.arpa": HEAD + f"1{'.0' * 23} PTR host.example.\n",
    "bl.test": HEAD
    + """
2.0.0.127      A   127.0.0.2
7.2.0.192      A   127.0.0.10
7.2.0.192      A   127.0.0.4
8.2.0.192      A   198.51.100.1
9.2.0.192      A   127.255.255.254
10.2.0.192     TXT "only text"
spam.example   A   127.0.1.2
"""
    + f"1{'.0' * 23}.8.b.d.0.1.0.0.2 A 127.0.0.3\n",
    "broken": None,
}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    try:
        with nsd.running(tmp_path_factory.mktemp("nsd"), ZONES) as port:
            yield port
    except peers.UnavailableError as error:
        pytest.skip(f"nsd is missing: {error}")


@pytest.fixture
def ask(port):
    """Return a function that calls a method of a resolver for the server."""

    def ask(method, *arguments):
        async def run():
            resolver = DnsResolver([f"127.0.0.1:{port}"])
            try:
                async with asyncio.timeout(60):
                    return await getattr(resolver, method)(*arguments)
            finally:
                await resolver.close()

        return asyncio.run(run())

    return ask


def sorted_(answer):
    return sorted(answer) if isinstance(answer, list) else answer


@pytest.mark.parametrize(
    ("method", "name", "answer"),
    [
        ("a", "host.example", ["192.0.2.1", "192.0.2.2"]),
        ("a", "HOST.example.", ["192.0.2.1", "192.0.2.2"]),
        ("a", "bücher.example", ["192.0.2.9"]),
        ("a", "alias.example", ["192.0.2.1", "192.0.2.2"]),
        ("a", "mail.example", []),
        ("a", "empty.example", []),
        ("aaaa", "host.example", ["2001:db8::1"]),
        ("aaaa", "alias.example", ["2001:db8::1"]),
        ("addresses", "alias.example", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("addresses", "mail.example", []),
        ("mx", "mail.example", [(10, "a.example"), (20, "b.example")]),
        ("mx", "null.example", [(0, "")]),
        ("mx", "host.example", []),
        ("txt", "text.example", ["other", "v=spf1 ip4:192.0.2.0/24 -all"]),
        ("txt", "empty.example", ["other", "v=spf1 ip4:192.0.2.0/24 -all"]),
        ("txt", "utf.example", ["bücher"]),
        ("txt", "binary.example", ["\ufffd"]),
        ("txt", "host.example", []),
        ("ptr", "192.0.2.1", ["host.example", "other.example"]),
        ("ptr", "::ffff:192.0.2.1", ["host.example", "other.example"]),
        ("ptr", ip_address("2001:db8::1"), ["host.example"]),
    ],
)
def test_the_records_of_a_name(ask, method, name, answer):
    assert sorted_(ask(method, name)) == answer


def test_an_answer_too_large_for_a_datagram_is_read_by_tcp(ask):
    [text] = ask("txt", "long.example")
    assert text == "".join(f"{n:03}{'x' * 200}" for n in range(20))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *[(one, "gone.example") for one in ("a", "aaaa", "addresses", "mx", "txt")],
        ("a", "dangling.example"),
        ("ptr", "192.0.2.77"),
    ],
)
def test_nxdomain_raises_no_such_name(ask, method, name):
    with pytest.raises(NoSuchNameError, match=r"no such name$"):
        ask(method, name)


@pytest.mark.parametrize("name", ["x.broken", "refused.invalid"])
@pytest.mark.parametrize("method", ["a", "aaaa", "addresses", "mx", "txt"])
def test_servfail_and_refused_raise_resolve_error(ask, method, name):
    with pytest.raises(ResolveError, match=f"^{name} [A-Z]+: "):
        ask(method, name)


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("127.0.0.2", ["127.0.0.2"]),
        ("192.0.2.7", ["127.0.0.4", "127.0.0.10"]),
        (Endpoint("192.0.2.7", 25), ["127.0.0.4", "127.0.0.10"]),
        (ip_address("::ffff:192.0.2.7"), ["127.0.0.4", "127.0.0.10"]),
        ("192.0.2.1", None),
        ("192.0.2.8", None),
        ("192.0.2.10", None),
        ("2001:db8::1", ["127.0.0.3"]),
        ("2001:db8::2", None),
        ("Spam.Example.", ["127.0.1.2"]),
        ("ham.example", None),
    ],
)
def test_entries_of_a_dns_list(ask, what, answer):
    assert ask("listed", what, "bl.test") == answer


def test_an_error_of_a_dns_list_is_no_entry(ask):
    with pytest.raises(
        ResolveError,
        match=r"^9\.2\.0\.192\.bl\.test: .* error 127\.255\.255\.254 \(queries by a public",
    ):
        ask("listed", "192.0.2.9", "bl.test")
    with pytest.raises(ResolveError):
        ask("listed", "192.0.2.7", "broken")


def test_a_server_without_an_answer_raises_resolve_error():
    async def run():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            port = silent.getsockname()[1]
            resolver = DnsResolver([f"127.0.0.1:{port}"], timeout=0.1, tries=1)
            with pytest.raises(ResolveError, match=r"^host\.example A: "):
                await resolver.a("host.example")
            await resolver.close()

    asyncio.run(run())


class BlockList(Plugin):
    async def on_connect(self, session):
        try:
            codes = await self.resolver.listed(session.peer, "bl.test")
        except ResolveError:
            return defer("try later")
        return deny(f"listed: {codes[0]}") if codes else None


@pytest.mark.parametrize(
    ("peer", "reply"), [("192.0.2.7", "554 5.7.1 listed: 127.0.0.4"), ("192.0.2.1", "220")]
)
def test_a_plugin_uses_the_name_servers_of_the_configuration(port, peer, reply):
    resolver = DnsResolver([f"127.0.0.1:{port}"])
    play(f"S: {reply}", [BlockList()], peer=(peer, 1), resolver=resolver)
