"""The address of a next hop: `smtp://HOST:PORT`, `lmtp:unix:/path` and the like."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import msgspec

from gatepost.model.address import parse_domain

Scheme = Literal["smtp", "smtps", "lmtp"]

# RFC 5321 s4.5.4.2, RFC 8314 s7.3; RFC 2033 s5 assigns LMTP no port, servers use 24.
PORTS: dict[str, int] = {"smtp": 25, "smtps": 465, "lmtp": 24}

_HOST_AND_PORT = re.compile(r"//(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:\[\]@]+))(?::([0-9]{1,5}))?/?")
_UNIX = "unix:"


class Hop(msgspec.Struct, frozen=True):
    """A next hop: `host` (a name or an IP address) and `port`, or `path` of a Unix socket."""

    scheme: Scheme
    host: str
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.scheme}:{_UNIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_address(self) -> bool:
        """Return whether the host is an IP address."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def is_loopback(self) -> bool:
        """Return whether the address is on this machine; False for any name but localhost."""
        if self.path or self.host == "localhost":
            return True
        return self.is_address and ip_address(self.host).is_loopback


def parse_hop(scheme: Scheme, rest: str, base: Path) -> Hop:
    """Return the next hop for the text after `SCHEME:`; raise ValueError.

    A relative path of a socket starts at the folder `base`.
    """
    if scheme == "lmtp" and rest.startswith(_UNIX) and len(rest) > len(_UNIX):
        return Hop(scheme, "localhost", path=str(base / rest.removeprefix(_UNIX)))
    if "@" in rest:
        raise ValueError(
            f"expected //HOST or //HOST:PORT after {scheme}:, found credentials: set"
            " client.user and client.password_file instead"
        )
    match = _HOST_AND_PORT.fullmatch(rest)
    port = int(match[3] or PORTS[scheme]) if match else 0
    if match is None or not 1 <= port <= 0xFFFF:
        unix = " or unix:PATH" if scheme == "lmtp" else ""
        raise ValueError(f"expected //HOST or //HOST:PORT{unix} after {scheme}:, found {rest!r}")
    return Hop(scheme, str(ip_address(match[1])) if match[1] else _name(match[2]), port)


def _name(text: str) -> str:
    """Return a host name, or an IPv4 address, which has the form of a name."""
    return parse_domain(text)
