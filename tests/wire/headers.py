"""PROXY headers as proxies write them, and an invariant for any bytes in their place."""

import struct
from ipaddress import ip_address

from gatepost.model.proxy import ProxyHeader
from gatepost.wire.crc32c import crc32c
from gatepost.wire.proxy import MAX_BODY, MAX_LINE, SIGNATURE, ProxyError, parse_proxy_header

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.25 51234 25\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::7 2001:db8::25 51234 25\r\n"
PROXY, LOCAL = 0x21, 0x20
TCP4, TCP6, UNIX, UNSPECIFIED = 0x11, 0x21, 0x31, 0x00


def addresses(
    source: str = "203.0.113.7",
    destination: str = "192.0.2.25",
    port: int = 51234,
    local_port: int = 25,
) -> bytes:
    """Return the address block of TCP."""
    hosts = b"".join(ip_address(one).packed for one in (source, destination))
    return hosts + struct.pack("!HH", port, local_port)


def value(kind: int, data: bytes) -> bytes:
    """Return one type-length-value."""
    return struct.pack("!BH", kind, len(data)) + data


def tls(client: int = 0x07, verify: int = 0, **texts: bytes) -> bytes:
    """Return the value about TLS."""
    kinds = {"version": 0x21, "common_name": 0x22, "cipher": 0x23}
    parts = b"".join(value(kinds[name], text) for name, text in texts.items())
    return value(0x20, struct.pack("!BI", client, verify) + parts)


def v2(
    body: bytes | None = None,
    command: int = PROXY,
    family: int = TCP4,
    length: int | None = None,
) -> bytes:
    """Return a header of version 2; `length` replaces its length field with a wrong one."""
    body = addresses() if body is None else body
    return SIGNATURE + struct.pack("!BBH", command, family, length or len(body)) + body


def with_checksum(*values: bytes) -> bytes:
    """Return a header of version 2 whose last value is its checksum."""
    blank = v2(addresses() + b"".join(values) + value(0x03, bytes(4)))
    return blank[:-4] + struct.pack("!I", crc32c(blank))


def outcome(data: bytes) -> tuple[ProxyHeader, int] | str | None:
    """Return the header and its length, None, or the error text, as a value to compare."""
    try:
        return parse_proxy_header(data)
    except ProxyError as error:
        return str(error)


def assert_outcome_is_final(data: bytes) -> None:
    """Assert that more bytes do not change an outcome, and that it takes bounded input."""
    final = outcome(data)
    ends = sorted({*range(min(len(data), 300)), *range(0, len(data), 97), len(data)})
    first = next((end for end in ends if outcome(data[:end]) is not None), None)
    assert (first is None) == (final is None)
    if first is None:
        assert len(data) < max(MAX_LINE, len(SIGNATURE) + 4 + MAX_BODY)
        return
    early = outcome(data[:first])
    assert type(early) is type(final)
    if not isinstance(final, tuple):
        return
    header, length = final
    assert early == final
    assert length <= len(data)
    assert outcome(data[:length]) == final
    assert outcome(data[: length - 1]) is None
    assert outcome(data[:length] + b"EHLO x\r\n") == final
    for one in (header.source, header.destination):
        assert one is None or (str(ip_address(one.host)) == one.host and 0 <= one.port <= 0xFFFF)
