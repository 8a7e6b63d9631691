"""DNS lookups over UDP, from a name server in the test."""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.net.name_server import NXDOMAIN, SERVFAIL, NameServer, a, aaaa, mx, wire_name

from gatepost.model.endpoint import Endpoint
from gatepost.net import resolver
from gatepost.net.block_list import query_name
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import DnsResolver, look_up_key

pytest.importorskip("aiodns")

RECORDS = {
    ("two.example", "MX"): [mx(20, "B.example"), mx(10, "a.example")],
    ("text.example", "TXT"): [b"\x06v=spf1\x05 -all"],
    ("1.2.0.192.in-addr.arpa", "PTR"): [wire_name("Host.example")],
    ("null.example", "MX"): [mx(0, "")],
    ("both.example", "A"): [a("192.0.2.1"), a("192.0.2.2")],
    ("both.example", "AAAA"): [aaaa("2001:db8::1")],
    ("four.example", "A"): [a("192.0.2.4")],
    ("third.example", "A"): [a("192.0.2.3")],
    ("half.example", "A"): [a("192.0.2.5")],
}
CODES = {
    ("none.example", None): NXDOMAIN,
    **{(f"{number}.none.example", None): NXDOMAIN for number in range(5)},
    ("broken.example", None): SERVFAIL,
    ("half.example", "AAAA"): SERVFAIL,
}


# The number of the datagram that is answered, if it is not the first.
ANSWERED = {"third.example": 3}


def look_up(lookup):
    return look_up_counted(lookup)[0]


def look_up_counted(lookup, **changed):
    async def run():
        server = NameServer(RECORDS, CODES, ANSWERED)
        async with asyncio.timeout(20), server.serving() as address:
            options = {"servers": [address], "timeout": 2.0, "tries": 1}
            return await lookup(DnsResolver(**options | changed)), server.asked

    return asyncio.run(run())


def test_mx_records_are_returned_in_lower_case():
    found = look_up(lambda dns: dns.mx("two.example"))
    assert sorted(found) == [(10, "a.example"), (20, "b.example")]


def test_null_mx_is_an_empty_host_name():
    assert look_up(lambda dns: dns.mx("null.example")) == [(0, "")]


def test_no_mx_records_is_an_empty_list():
    assert look_up(lambda dns: dns.mx("four.example")) == []


def test_addresses_of_both_families():
    found = look_up(lambda dns: dns.addresses("both.example"))
    assert sorted(found) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


@pytest.mark.parametrize(
    ("host", "address"), [("four.example", "192.0.2.4"), ("half.example", "192.0.2.5")]
)
def test_addresses_of_one_family(host, address):
    assert look_up(lambda dns: dns.addresses(host)) == [address]


def test_no_addresses_is_an_empty_list():
    assert look_up(lambda dns: dns.addresses("two.example")) == []


@pytest.mark.parametrize("method", ["mx", "addresses"])
def test_nxdomain_raises_no_such_name(method):
    with pytest.raises(NoSuchNameError, match=r"^none\.example: no such name$"):
        look_up(lambda dns: getattr(dns, method)("none.example"))


@pytest.mark.parametrize("method", ["mx", "addresses"])
def test_server_failure_raises_resolve_error(method):
    with pytest.raises(ResolveError, match=r"^broken\.example (MX|A|AAAA): "):
        look_up(lambda dns: getattr(dns, method)("broken.example"))


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "a b", "a\\.b", "a\0b", "x" * 64, "x." * 127 + "example", "\udcff", "\n"],
)
@pytest.mark.parametrize("method", ["a", "aaaa", "addresses", "mx", "txt"])
def test_a_name_that_cannot_exist_is_not_looked_up(method, name):
    with pytest.raises(NoSuchNameError):
        asyncio.run(getattr(DnsResolver(["127.0.0.1:1"]), method)(name))


def test_a_question_is_repeated_after_quick_answers():
    async def lookup(dns):
        for number in range(5):
            with pytest.raises(NoSuchNameError):
                await dns.a(f"{number}.none.example")
        return await dns.a("third.example")

    answer, datagrams = look_up_counted(lookup, tries=2)
    assert (answer, datagrams["third.example"]) == (["192.0.2.3"], 3)


def test_answers_that_the_library_keeps_are_dropped(monkeypatch):
    monkeypatch.setattr(resolver, "RENEW_AFTER", 3)

    async def lookup(dns):
        return [await dns.a("four.example") for _ in range(6)]

    answers, datagrams = look_up_counted(lookup)
    assert (answers, datagrams["four.example"]) == ([["192.0.2.4"]] * 6, 2)


def test_a_channel_that_was_replaced_ends_after_its_last_answer(monkeypatch):
    """c-ares does not go on with questions whose time is over."""
    monkeypatch.setattr(resolver, "RENEW_AFTER", 2)
    silent = {f"{number}.silent.example": 10**6 for number in range(5)}

    async def lookup(dns):
        names = [*silent, "four.example"]
        found = await asyncio.gather(*(dns.a(name) for name in names), return_exceptions=True)
        return [type(one) for one in found], len(dns._replaced), dns._channel.active

    server = NameServer(RECORDS, answered=silent)

    async def run():
        async with asyncio.timeout(60), server.serving() as address:
            dns = DnsResolver([address], timeout=1.0, tries=1)
            found = await lookup(dns)
            await dns.close()
            return found

    assert asyncio.run(run()) == ([ResolveError] * 5 + [list], 0, 0)


def test_close_ends_the_lookups_of_channels_that_were_replaced(monkeypatch):
    monkeypatch.setattr(resolver, "RENEW_AFTER", 1)
    names = ("1.silent.example", "2.silent.example", "3.silent.example")
    server = NameServer({}, answered=dict.fromkeys(names, 10**6))

    async def run():
        async with asyncio.timeout(60), server.serving() as address:
            dns = DnsResolver([address], timeout=60.0)
            lookups = [asyncio.ensure_future(dns.a(name)) for name in names]
            await asyncio.sleep(0)
            assert len(dns._replaced) == 2
            await dns.close()
            done, _ = await asyncio.wait(lookups)
            return [one.cancelled() or type(one.exception()) for one in done]

    assert set(asyncio.run(run())) <= {True, ResolveError}


@given(st.text())
def test_any_name_is_refused_or_within_the_limits(name):
    try:
        key = look_up_key(name)
    except NoSuchNameError:
        return
    assert key.isascii()
    assert len(wire_name(key)) <= 255
    assert max(map(len, key.split("."))) <= 63


def test_ptr_requires_an_address():
    with pytest.raises(ValueError, match=r"^expected an IP address, found 'x'$"):
        asyncio.run(DnsResolver().ptr("x"))


def test_lookups_in_progress_end_when_the_resolver_is_closed():
    async def run():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            resolver = DnsResolver([f"127.0.0.1:{silent.getsockname()[1]}"])
            lookup = asyncio.ensure_future(resolver.a("host.example"))
            await asyncio.sleep(0)
            await resolver.close()
            await asyncio.wait([lookup])
            assert lookup.cancelled() or isinstance(lookup.exception(), ResolveError)
            await resolver.close()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("192.0.2.7", "7.2.0.192.bl.example"),
        (Endpoint("192.0.2.7", 25), "7.2.0.192.bl.example"),
        ("::ffff:192.0.2.7", "7.2.0.192.bl.example"),
        ("2001:db8::1", f"1{'.0' * 23}.8.b.d.0.1.0.0.2.bl.example"),
        ("Bücher.example.", "xn--bcher-kva.example.bl.example"),
    ],
)
def test_the_name_of_an_entry_of_a_dns_list(what, name):
    assert query_name(what, "BL.example.") == name


def test_strings_of_a_text_record_are_joined_and_names_of_an_address_returned():
    text = look_up(lambda dns: dns.txt("text.example"))
    assert text == ["v=spf1 -all"]
    assert look_up(lambda dns: dns.ptr("192.0.2.1")) == ["host.example"]
