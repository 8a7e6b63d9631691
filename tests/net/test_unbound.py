"""The resolver of a server with real programs: Unbound in front of NSD and rbldnsd."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from tools import ldns, nsd, peers, rbldnsd, unbound

from gatepost.net.cached_resolver import CachedResolver
from gatepost.net.dns_probe import Probe, probe
from gatepost.net.inline import first_step
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import DnsResolver

HEAD = "$TTL 60\n@ SOA ns.example. root.example. 1 60 60 60 60\n@ NS ns.example.\n"
LONG = " ".join(f'"{n:03}{"x" * 200}"' for n in range(60))
CHAIN = "".join(f"c{n} CNAME c{n + 1}\n" for n in range(8)) + "c8 A 192.0.2.8\n"
ZONES = {
    "example": HEAD
    + "host A 192.0.2.1\nhost AAAA 2001:db8::1\nlong TXT "
    + LONG
    + "\nloop CNAME pool\npool CNAME loop\nalias CNAME host\n"
    + CHAIN
    + "".join(f"many A 192.0.{n >> 8}.{n & 255}\n" for n in range(1200)),
    "2.0.192.in-addr.arpa": HEAD + "1 PTR Host.example.\n",
    "broken.example": None,
}
SIGNED = "$ORIGIN signed.example.\n" + HEAD + "good A 192.0.2.1\nforged A 192.0.2.66\n"
LISTS = {
    "ip4.bl.example": ("ip4set", ":127.0.0.2:listed\n192.0.2.7\n192.0.2.64/26 :127.0.0.10:\n"),
    "ip6.bl.example": ("ip6trie", ":127.0.0.3:listed\n2001:db8::/64\n"),
    "dom.bl.example": ("dnset", ":127.0.1.2:listed\nspam.example\n.wild.example\n"),
    "blocked.bl.example": ("ip4set", ":127.255.255.254:blocked\n192.0.2.0/24\n"),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of a resolver for the zones."""
    folder = tmp_path_factory.mktemp
    with ExitStack() as stack:
        try:
            text, anchor = ldns.signed(folder("keys"), "signed.example", SIGNED)
            forged = text.replace("192.0.2.66", "192.0.2.67")
            zones = stack.enter_context(
                nsd.running(folder("nsd"), ZONES | {"signed.example": forged})
            )
            lists = stack.enter_context(rbldnsd.running(folder("rbldnsd"), LISTS))
            stubs = dict.fromkeys((*ZONES, "signed.example"), zones) | dict.fromkeys(LISTS, lists)
            yield stack.enter_context(unbound.running(folder("unbound"), stubs, [anchor]))
        except peers.UnavailableError as error:
            pytest.skip(f"unbound, nsd, rbldnsd or ldnsutils is missing: {error}")


@pytest.fixture
def ask(port):
    """Return a function that asks twice: both answers, the second from the cache, are the same."""

    def ask(method, *arguments):
        async def run():
            resolver = CachedResolver(DnsResolver([f"127.0.0.1:{port}"]))
            look_up = getattr(resolver, method)
            try:
                async with asyncio.timeout(60):
                    first = await outcome(look_up(*arguments))
                assert first_step(outcome(look_up(*arguments))) == first
            finally:
                await resolver.close()
            return first

        return asyncio.run(run())

    return ask


async def outcome(lookup):
    try:
        answer = await lookup
    except (NoSuchNameError, ResolveError) as error:
        return type(error)
    return sorted(answer) if isinstance(answer, list) else answer


@pytest.mark.parametrize(
    ("method", "name", "answer"),
    [
        ("a", "HOST.example.", ["192.0.2.1"]),
        ("addresses", "alias.example", ["192.0.2.1", "2001:db8::1"]),
        ("a", "c0.example", ["192.0.2.8"]),
        ("txt", "host.example", []),
        ("txt", "long.example", ["".join(f"{n:03}{'x' * 200}" for n in range(60))]),
        ("ptr", "192.0.2.1", ["host.example"]),
        ("a", "gone.example", NoSuchNameError),
        ("a", "loop.example", ResolveError),
        ("a", "many.example", ResolveError),
        ("a", "host.broken.example", ResolveError),
        ("a", "good.signed.example", ["192.0.2.1"]),
        ("a", "forged.signed.example", ResolveError),
    ],
)
def test_the_answers_of_a_resolver(ask, method, name, answer):
    assert ask(method, name) == answer


@pytest.mark.parametrize(
    ("what", "zone", "answer"),
    [
        ("192.0.2.7", "ip4.bl.example", ["127.0.0.2"]),
        ("192.0.2.100", "ip4.bl.example", ["127.0.0.10"]),
        ("192.0.2.8", "ip4.bl.example", None),
        ("2001:db8::1", "ip6.bl.example", ["127.0.0.3"]),
        ("2001:db9::1", "ip6.bl.example", None),
        ("Spam.example", "dom.bl.example", ["127.0.1.2"]),
        ("a.wild.example", "dom.bl.example", ["127.0.1.2"]),
        ("a.spam.example", "dom.bl.example", None),
        ("192.0.2.1", "blocked.bl.example", ResolveError),
    ],
)
def test_entries_of_real_dns_lists(ask, what, zone, answer):
    assert ask("listed", what, zone) == answer


def test_a_resolver_that_checks_signatures_is_recognised(port):
    assert probe(f"127.0.0.1:{port}", "signed.example") == Probe(0, validates=True)
    assert probe(f"127.0.0.1:{port}", "example") == Probe(0)


def test_an_answer_is_kept_for_the_ttl_that_the_resolver_states(port):
    async def run():
        now = 0.0
        resolver = CachedResolver(DnsResolver([f"127.0.0.1:{port}"]), clock=lambda: now)
        await resolver.a("c0.example")
        now = 61.0
        await resolver.a("c0.example")
        await resolver.close()
        return resolver.status.lookups

    assert asyncio.run(asyncio.wait_for(run(), 60)) == {"cache": 0, "query": 2}


def test_a_question_that_is_not_answered_ends_with_the_time_out():
    async def run():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            source = DnsResolver([f"127.0.0.1:{silent.getsockname()[1]}"], timeout=0.1)
            resolver = CachedResolver(source)
            names = [f"{number}.example" for number in range(20)]
            lookups = (outcome(resolver.a(name)) for name in names)
            assert set(await asyncio.gather(*lookups)) == {ResolveError}
            assert resolver.status.queries == {"timeout": 20}
            await resolver.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_closed_port_is_an_outage_that_ends_when_a_server_answers(port):
    async def run():
        paused, woken = asyncio.Event(), asyncio.Event()

        async def sleep(_):
            paused.set()
            await woken.wait()

        source = DnsResolver(["127.0.0.1:1"], timeout=1.0)
        resolver = CachedResolver(source)
        resolver._servers._sleep = sleep
        for number in range(3):
            assert await outcome(resolver.a(f"{number}.example")) is ResolveError
        await paused.wait()
        assert resolver.status.unavailable
        resolver._source = DnsResolver([f"127.0.0.1:{port}"])
        woken.set()
        await resolver._servers._task
        assert await resolver.a("host.example") == ["192.0.2.1"]
        await resolver._source.close()
        await source.close()

    asyncio.run(asyncio.wait_for(run(), 60))
