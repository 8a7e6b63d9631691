"""The header of the PROXY protocol, version 1 and 2: bytes in, a value out.

Specification: "The PROXY protocol, versions 1 & 2", HAProxy Technologies, 2020/03/05.

Contract
--------
`parse_proxy_header(data)` takes all input received so far. It returns the header and its length,
or None if more input is needed, or raises `ProxyError`. More input does not change a header or an
error, so the result does not depend on how the bytes are cut.

Security: a header can claim any client address. Call this only for connections from a trusted
proxy. From any other client these bytes are invalid SMTP.
Limits: a line of MAX_LINE octets in version 1, MAX_BODY octets after the fixed part in version 2.
"""

import re
from collections.abc import Callable, Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812 - "error" alone is too general
from typing import NoReturn

from gatepost.model.endpoint import Endpoint
from gatepost.model.proxy import CRC32C, SSL, ProxyHeader, ProxyTls, Values
from gatepost.wire.crc32c import crc32c
from gatepost.wire.ip import ipv4, ipv6

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
START = b"PROXY "
# Section 2.1: the longest line, CR LF included, of UNKNOWN with two full IPv6 addresses.
MAX_LINE = 107
# The longest addresses take 216 octets (section 2.2). 4 KiB leave room for a client certificate; a
# broken proxy cannot occupy 64 KiB with each connection.
MAX_BODY = 4096

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?"
    rb"|(?:TCP4 ([0-9.]+) ([0-9.]+)|TCP6 ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+))"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))"
)
_FIXED = Struct("!12sBBH")
_VALUE = Struct("!BH")
_TLS = Struct("!BI")
_CHECKSUM = Struct("!I")

# Command in the low half of the 13th octet, version 2 in the high one.
_LOCAL, _PROXY = 0x20, 0x21
# Address family in the high half of the 14th octet: (length of the addresses, their layout if mail
# clients can have such addresses, the reader of an address).
_Family = tuple[int, Struct | None, Callable[[bytes], str]]
_FAMILIES: dict[int, _Family] = {
    0: (0, None, ipv4),  # unspecified: the rest is skipped
    1: (12, Struct("!4s4sHH"), ipv4),
    2: (36, Struct("!16s16sHH"), ipv6),
    3: (216, None, ipv4),  # Unix sockets: two paths, unused here
}
# Transport in the low half: the values that stand for a stream.
_UNSPECIFIED, _STREAM = 0, 1

# Section 2.2.6: bits of the client field, sub-types
_CLIENT_TLS, _CLIENT_CERTIFICATE = 0x01, 0x02 | 0x04
_TLS_VERSION, _TLS_COMMON_NAME, _TLS_CIPHER = 0x21, 0x22, 0x23


class ProxyError(ValueError):
    """The header is missing or malformed; the message names the expected and the found input."""


def parse_proxy_header(data: bytes) -> tuple[ProxyHeader, int] | None:
    """Parse the header at the start of the data. See the module for the result."""
    for beginning, parse in ((SIGNATURE, _version_2), (START, _version_1)):
        if data.startswith(beginning):
            return parse(data)
        if beginning.startswith(data):
            return None
    raise ProxyError(f"expected a PROXY header, found {data[: len(SIGNATURE)]!r}")


def _version_1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\n", 0, MAX_LINE)
    if end < 0 and len(data) < MAX_LINE:
        return None
    line = data[:MAX_LINE] if end < 0 else data[: end + 1]
    match = _LINE.fullmatch(line[:-2]) if line.endswith(b"\r\n") else None
    if match is None:
        raise ProxyError(f"expected a line of version 1, found {line!r}")
    try:
        return _of_line(match), len(line)
    except ValueError as error:
        raise ProxyError(f"expected addresses and ports, found {line!r}") from error


def _of_line(match: re.Match[bytes]) -> ProxyHeader:
    source, destination = match[1] or match[3], match[2] or match[4]
    if source is None:
        return ProxyHeader(1)
    read = ipv4 if match[1] else ipv6
    return ProxyHeader(
        1,
        source=_endpoint(read, source.decode(), int(match[5])),
        destination=_endpoint(read, destination.decode(), int(match[6])),
    )


def _endpoint(read: Callable[[str], str], address: str, port: int) -> Endpoint:
    if port > 0xFFFF:
        raise ValueError("expected a port")
    return Endpoint(read(address), port)


def _version_2(data: bytes) -> tuple[ProxyHeader, int] | None:
    if len(data) < _FIXED.size:
        return None
    _, command, family, length = _FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise ProxyError(f"expected version 2 and a command of LOCAL or PROXY, found {command:#x}")
    if length > MAX_BODY:
        raise ProxyError(f"expected at most {MAX_BODY} octets of addresses, found {length}")
    end = _FIXED.size + length
    if len(data) < end:
        return None
    if command == _LOCAL:
        return ProxyHeader(2, local=True), end  # section 2.2: the rest is skipped
    return _of_block(family, data[:end]), end


def _of_block(family: int, block: bytes) -> ProxyHeader:
    size, layout, read = _FAMILIES.get(family >> 4) or _unusable(family)
    transport = family & 0x0F
    if not size:
        return ProxyHeader(2)
    if transport not in (_UNSPECIFIED, _STREAM):
        _unusable(family)
    start = _FIXED.size + size
    if len(block) < start:
        raise ProxyError(f"expected {size} octets of addresses, found {len(block) - _FIXED.size}")
    values = tuple(_values(block, start))
    _check_checksum(block, values)
    tls = next((_tls(value) for kind, value in values if kind == SSL), None)
    if layout is None or transport != _STREAM:
        return ProxyHeader(2, values=values, tls=tls)
    source, destination, port, local_port = layout.unpack_from(block, _FIXED.size)
    return ProxyHeader(
        2,
        source=Endpoint(read(source), port),
        destination=Endpoint(read(destination), local_port),
        values=values,
        tls=tls,
    )


def _unusable(family: int) -> NoReturn:
    raise ProxyError(f"expected a stream over IPv4, IPv6 or a Unix socket, found {family:#x}")


def _values(block: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the type-length-values of a block, from a position to its end."""
    while at < len(block):
        try:
            kind, length = _VALUE.unpack_from(block, at)
        except StructError:
            raise ProxyError("expected a type and a length, found less") from None
        at += _VALUE.size
        value = block[at : at + length]
        if len(value) < length:
            raise ProxyError(f"value {kind:#x}: expected {length} octets, found {len(value)}")
        yield kind, value
        at += length


def _check_checksum(block: bytes, values: Values) -> None:
    """Compare the checksum, if there is one. It is computed with zeros in its own place."""
    given = next((value for kind, value in values if kind == CRC32C), None)
    if given is None:
        return
    if len(given) != _CHECKSUM.size:
        raise ProxyError(f"checksum: expected {_CHECKSUM.size} octets, found {len(given)}")
    place = _place_of(CRC32C, values, len(block))
    blank = block[:place] + bytes(_CHECKSUM.size) + block[place + _CHECKSUM.size :]
    if crc32c(blank) != _CHECKSUM.unpack(given)[0]:
        raise ProxyError("the checksum does not match")


def _place_of(searched: int, values: Values, end: int) -> int:
    """Return the position of the first value of a type; the block ends with the values."""
    place = end - sum(_VALUE.size + len(value) for _, value in values)
    for kind, value in values:
        place += _VALUE.size
        if kind == searched:
            break
        place += len(value)
    return place


def _tls(value: bytes) -> ProxyTls | None:
    """Return the facts about TLS, or None if the client did not use it."""
    if len(value) < _TLS.size:
        raise ProxyError(f"value {SSL:#x}: expected {_TLS.size} octets or more, found {len(value)}")
    client, verify = _TLS.unpack_from(value)
    texts = dict(_values(value, _TLS.size))
    if not client & _CLIENT_TLS:
        return None
    certificate = bool(client & _CLIENT_CERTIFICATE)
    return ProxyTls(
        version=_text(texts.get(_TLS_VERSION)),
        cipher=_text(texts.get(_TLS_CIPHER)),
        common_name=_text(texts.get(_TLS_COMMON_NAME)),
        certificate=certificate,
        verified=certificate and verify == 0,
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
