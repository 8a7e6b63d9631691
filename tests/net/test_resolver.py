"""DNS lookups over UDP, from a name server in the test."""

import asyncio
import socket
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.endpoint import Endpoint
from gatepost.net import resolver
from gatepost.net.block_list import query_name
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import DnsResolver, look_up_key

pytest.importorskip("aiodns")

KINDS = {1: "A", 12: "PTR", 16: "TXT", 15: "MX", 28: "AAAA"}
NXDOMAIN, SERVFAIL = 3, 2


def wire_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def mx(preference, host):
    return struct.pack("!H", preference) + wire_name(host)


RECORDS = {
    ("two.example", "MX"): [mx(20, "B.example"), mx(10, "a.example")],
    ("text.example", "TXT"): [b"\x06v=spf1\x05 -all"],
    ("1.2.0.192.in-addr.arpa", "PTR"): [wire_name("Host.example")],
    ("null.example", "MX"): [mx(0, "")],
    ("both.example", "A"): [socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")],
    ("both.example", "AAAA"): [socket.inet_pton(socket.AF_INET6, "2001:db8::1")],
    ("four.example", "A"): [socket.inet_aton("192.0.2.4")],
    ("third.example", "A"): [socket.inet_aton("192.0.2.3")],
    ("half.example", "A"): [socket.inet_aton("192.0.2.5")],
}
CODES = {
    ("none.example", None): NXDOMAIN,
    **{(f"{number}.none.example", None): NXDOMAIN for number in range(5)},
    ("broken.example", None): SERVFAIL,
    ("half.example", "AAAA"): SERVFAIL,
}


# The number of the datagram that is answered, if it is not the first.
ANSWERED = {"third.example": 3}


class NameServer(asyncio.DatagramProtocol):
    """Answers from RECORDS and CODES."""

    def connection_made(self, transport):
        self._transport = transport
        self.datagrams = Counter()

    def datagram_received(self, data, client):
        at, parts = 12, []
        while data[at]:
            parts.append(data[at + 1 : at + 1 + data[at]].decode().lower())
            at += 1 + data[at]
        kind = struct.unpack_from("!H", data, at + 1)[0]
        question, name = data[12 : at + 5], ".".join(parts)
        self.datagrams[name] += 1
        if self.datagrams[name] < ANSWERED.get(name, 1):
            return
        found = RECORDS.get((name, KINDS.get(kind)), [])
        code = CODES.get((name, KINDS.get(kind))) or CODES.get((name, None)) or 0
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        answers = (b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(one)) + one for one in found)
        self._transport.sendto(head + question + b"".join(answers), client)


def look_up(lookup):
    return look_up_counted(lookup)[0]


def look_up_counted(lookup, **changed):
    async def run():
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        options = {"servers": [f"127.0.0.1:{port}"], "timeout": 2.0, "tries": 1}
        try:
            async with asyncio.timeout(20):
                return await lookup(DnsResolver(**options | changed)), server.datagrams
        finally:
            transport.close()

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
