"""The header of the PROXY protocol, version 1 and 2, as a proxy writes it.

Specification: "The PROXY protocol, versions 1 & 2", HAProxy Technologies, 2020/03/05.
`gatepost.wire.proxy` reads it. If an endpoint is not an IP address, or the two belong to different
families, the header has no addresses: UNKNOWN in version 1, LOCAL in version 2.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct

from gatepost.model.endpoint import Endpoint
from gatepost.wire.proxy import SIGNATURE

_Address = IPv4Address | IPv6Address

_FIXED = Struct("!12sBBH")
_PORTS = Struct("!HH")
_LOCAL, _PROXY = 0x20, 0x21
# Address family with "stream" in the low half; the keywords of version 1.
_FAMILIES = {4: (0x11, "TCP4"), 6: (0x21, "TCP6")}


def write_proxy_header(version: int, source: Endpoint, destination: Endpoint) -> bytes:
    """Return a header of version 1 or 2; `destination` is the address the client connected to."""
    pair = _addresses(source, destination)
    write = _version_1 if version == 1 else _version_2
    return write(pair, source.port, destination.port)


def _addresses(source: Endpoint, destination: Endpoint) -> tuple[_Address, _Address] | None:
    try:
        pair = ip_address(source.host), ip_address(destination.host)
    except ValueError:
        return None
    return pair if pair[0].version == pair[1].version else None


def _version_1(pair: tuple[_Address, _Address] | None, port: int, local_port: int) -> bytes:
    if pair is None:
        return b"PROXY UNKNOWN\r\n"
    _, word = _FAMILIES[pair[0].version]
    return f"PROXY {word} {pair[0]} {pair[1]} {port} {local_port}\r\n".encode("ascii")


def _version_2(pair: tuple[_Address, _Address] | None, port: int, local_port: int) -> bytes:
    if pair is None:
        return _FIXED.pack(SIGNATURE, _LOCAL, 0, 0)
    family, _ = _FAMILIES[pair[0].version]
    body = pair[0].packed + pair[1].packed + _PORTS.pack(port, local_port)
    return _FIXED.pack(SIGNATURE, _PROXY, family, len(body)) + body
