import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.headers import (
    LOCAL,
    TCP4,
    TCP6,
    UNIX,
    UNSPECIFIED,
    V1,
    V1_IPV6,
    addresses,
    assert_outcome_is_final,
    outcome,
    tls,
    v2,
    value,
    with_checksum,
)

from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import ALPN, AUTHORITY, UNIQUE_ID, ProxyHeader, ProxyTls
from gatepost.wire.crc32c import crc32c
from gatepost.wire.proxy import MAX_BODY, MAX_LINE, SIGNATURE, ProxyError, parse_proxy_header

CLIENT, SERVER = Endpoint("203.0.113.7", 51234), Endpoint("192.0.2.25", 25)
CLIENT_6, SERVER_6 = Endpoint("2001:db8::7", 51234), Endpoint("2001:db8::25", 25)
LONGEST = b"PROXY UNKNOWN " + b"f" * (MAX_LINE - 16) + b"\r\n"
BODY_6 = addresses("2001:db8::7", "2001:db8::25")
MAPPED = addresses("::ffff:203.0.113.7", "::ffff:192.0.2.25")


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (V1, ProxyHeader(1, source=CLIENT, destination=SERVER)),
        (V1_IPV6, ProxyHeader(1, source=CLIENT_6, destination=SERVER_6)),
        (
            b"PROXY TCP6 2001:DB8:0:0::7 2001:db8::25 51234 25\r\n",
            ProxyHeader(1, source=CLIENT_6, destination=SERVER_6),
        ),
        (
            b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:c000:219 51234 25\r\n",
            ProxyHeader(1, source=CLIENT, destination=SERVER),
        ),
        (
            b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            ProxyHeader(
                1, source=Endpoint("0.0.0.0", 0), destination=Endpoint("255.255.255.255", 65535)
            ),
        ),
        (b"PROXY UNKNOWN\r\n", ProxyHeader(1)),
        (b"PROXY UNKNOWN ffff::1 anything 99999\r\n", ProxyHeader(1)),
        (LONGEST, ProxyHeader(1)),
        (v2(), ProxyHeader(2, source=CLIENT, destination=SERVER)),
        (v2(BODY_6, family=TCP6), ProxyHeader(2, source=CLIENT_6, destination=SERVER_6)),
        (v2(MAPPED, family=TCP6), ProxyHeader(2, source=CLIENT, destination=SERVER)),
        (v2(b"", LOCAL, UNSPECIFIED), ProxyHeader(2, local=True)),
        (v2(b"any octets", LOCAL, 0xFF), ProxyHeader(2, local=True)),
        (v2(b"", family=UNSPECIFIED), ProxyHeader(2)),
        (v2(b"\xff\xff skipped", family=UNSPECIFIED), ProxyHeader(2)),
        (v2(family=0x10), ProxyHeader(2)),
        (v2(b"/run/x".ljust(216, b"\0"), family=UNIX), ProxyHeader(2)),
        (v2(bytes(216) + value(5, b"id"), family=UNIX), ProxyHeader(2, values=((5, b"id"),))),
    ],
)
@pytest.mark.parametrize("after", [b"", b"EHLO x\r\n", V1])
def test_a_header_ends_before_the_next_input(data, header, after):
    assert parse_proxy_header(data + after) == (header, len(data))
    assert_outcome_is_final(data + after)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"EHLO client.example\r\n", r"expected a PROXY header, found b'EHLO client.'"),
        (b"PROXX", "expected a PROXY header, found b'PROXX'"),
        (b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "expected a PROXY header"),
        (b"\r\n\r\n\0\r\nQUIT\r\n", "expected a PROXY header"),
        (b"\n", "expected a PROXY header"),
        (b"PROXY TCP4 203.0.113.7 192.0.2.25 51234 25\n", "expected a line of version 1"),
        (b"PROXY \r\n", "expected a line of version 1"),
        (b"PROXY TCP4\r\n", "expected a line of version 1"),
        (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", "expected a line of version 1"),
        (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "expected a line of version 1"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "expected a line of version 1"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "expected a line of version 1"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "expected a line of version 1"),
        (b"PROXY TCP4 ::1 ::1 1 1\r\n", "expected a line of version 1"),
        (b"PROXY TCP6 fe80::1%lo ::1 1 1\r\n", "expected a line of version 1"),
        (b"PROXY UNKNOWN \x01\r\n", "expected a line of version 1"),
        (b"PROXY UNKNOWNX\r\n", "expected a line of version 1"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "expected addresses and ports"),
        (b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n", "expected addresses and ports"),
        (b"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n", "expected addresses and ports"),
        (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "expected addresses and ports"),
        (b"PROXY TCP6 :::1 ::1 1 1\r\n", "expected addresses and ports"),
        (LONGEST.replace(b"\r\n", b"f\r\n"), "expected a line of version 1"),
        (b"PROXY " * 40, "expected a line of version 1"),
        (v2(command=0x11), "expected version 2 and a command of LOCAL or PROXY, found 0x11"),
        (v2(command=0x22), "expected version 2 and a command of LOCAL or PROXY, found 0x22"),
        (v2(family=0x12), "expected a stream over IPv4, IPv6 or a Unix socket, found 0x12"),
        (v2(family=0x13), "expected a stream over IPv4, IPv6 or a Unix socket, found 0x13"),
        (v2(family=0x41), "expected a stream over IPv4, IPv6 or a Unix socket, found 0x41"),
        (v2(family=TCP6), "expected 36 octets of addresses, found 12"),
        (v2(b""), "expected 12 octets of addresses, found 0"),
        (v2(family=UNIX), "expected 216 octets of addresses, found 12"),
        (v2(bytes(12), length=MAX_BODY + 1), "expected at most 4096 octets of addresses"),
        (v2(b"", LOCAL, length=0xFFFF), "expected at most 4096 octets of addresses"),
        (v2(addresses() + b"\x04"), "expected a type and a length, found less"),
        (v2(addresses() + b"\x04\x00\x09x"), "value 0x4: expected 9 octets, found 1"),
        (v2(addresses() + value(0x20, b"\x01")), "value 0x20: expected 5 octets or more, found 1"),
        (
            v2(addresses() + value(0x20, bytes(5) + b"\x21\x00\x02x")),
            "value 0x21: expected 2 octets, found 1",
        ),
        (v2(addresses() + value(0x03, b"abc")), "checksum: expected 4 octets, found 3"),
        (v2(addresses() + value(0x03, bytes(4))), "the checksum does not match"),
    ],
)
def test_an_invalid_header_is_refused(data, problem):
    with pytest.raises(ProxyError, match=problem.replace("(", r"\(")):
        parse_proxy_header(data)
    assert_outcome_is_final(data)


@pytest.mark.parametrize("data", [b"", V1, V1_IPV6, LONGEST, v2(), v2(bytes(MAX_BODY - 3), LOCAL)])
def test_a_header_is_incomplete_until_its_last_octet(data):
    assert [outcome(data[:end]) for end in range(len(data))] == [None] * len(data)


def test_values_keep_their_order():
    values = value(ALPN, b"smtp") + value(4, b"") + value(0xE0, b"\0") + value(ALPN, b"again")
    header, _ = parse_proxy_header(v2(addresses() + values + value(UNIQUE_ID, b"7")))
    assert header.values == ((1, b"smtp"), (4, b""), (0xE0, b"\0"), (1, b"again"), (5, b"7"))
    assert header.value(ALPN) == b"smtp"
    assert header.value(UNIQUE_ID) == b"7"
    assert header.value(AUTHORITY) is None
    assert header.tls is None


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        (
            tls(version=b"TLSv1.3", cipher=b"TLS_AES_128_GCM_SHA256", common_name=b"client"),
            ProxyTls(
                "TLSv1.3", "TLS_AES_128_GCM_SHA256", "client", certificate=True, verified=True
            ),
        ),
        (tls(client=0x01), ProxyTls()),
        (tls(client=0x01, verify=0, version=b"TLSv1.2"), ProxyTls("TLSv1.2")),
        (tls(client=0x05, verify=1), ProxyTls(certificate=True)),
        (
            tls(common_name=b"\xff"),
            ProxyTls(common_name="\N{REPLACEMENT CHARACTER}", certificate=True, verified=True),
        ),
        (tls(client=0x00, version=b"TLSv1.3"), None),
    ],
)
def test_the_facts_about_tls_are_read(given, facts):
    header, _ = parse_proxy_header(v2(addresses() + given))
    assert header.tls == facts


@pytest.mark.parametrize("values", [(), (value(4, b"pad"), value(1, b"x"))])
def test_a_checksum_is_verified(values):
    data = with_checksum(*values)
    header, length = parse_proxy_header(data)
    assert (header.source, length) == (CLIENT, len(data))
    for place in (16, len(data) - 1):
        broken = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert outcome(broken) == "the checksum does not match"


def test_crc32c_matches_the_published_values():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


ip4 = st.ip_addresses(v=4)
ip6 = st.ip_addresses(v=6).filter(lambda one: one.ipv4_mapped is None)
ports = st.integers(0, 0xFFFF)
values = st.lists(st.tuples(st.integers(0x30, 0xFF), st.binary(max_size=40)), max_size=6)


@given(st.one_of(st.tuples(ip4, ip4), st.tuples(ip6, ip6)), ports, ports)
def test_any_addresses_of_version_1_are_read(hosts, port, local_port):
    source, destination = hosts
    line = f"PROXY TCP{source.version} {source} {destination} {port} {local_port}\r\n".encode()
    header = ProxyHeader(
        1,
        source=Endpoint(str(source), port),
        destination=Endpoint(str(destination), local_port),
    )
    assert parse_proxy_header(line) == (header, len(line))


@given(st.one_of(st.tuples(ip4, ip4), st.tuples(ip6, ip6)), ports, ports, values)
def test_any_addresses_and_values_of_version_2_are_read(hosts, port, local_port, given_values):
    source, destination = hosts
    body = source.packed + destination.packed + struct.pack("!HH", port, local_port)
    family = TCP4 if source.version == 4 else TCP6
    data = v2(body + b"".join(value(*one) for one in given_values), family=family)
    header = ProxyHeader(
        2,
        source=Endpoint(str(source), port),
        destination=Endpoint(str(destination), local_port),
        values=tuple(given_values),
    )
    assert parse_proxy_header(data) == (header, len(data))
    assert_outcome_is_final(data)


pieces = st.sampled_from([V1, V1_IPV6, SIGNATURE, v2(), b"PROXY ", b"TCP4 ", b"1.2.3.4 ", b"\r\n"])


@given(st.lists(pieces | st.binary(max_size=20), max_size=6).map(b"".join))
def test_any_bytes_have_a_final_outcome(data):
    assert_outcome_is_final(data)


@given(st.binary(min_size=2, max_size=2), st.binary(max_size=60))
def test_any_block_has_a_final_outcome(kind, body):
    assert_outcome_is_final(SIGNATURE + kind + struct.pack("!H", len(body)) + body)
