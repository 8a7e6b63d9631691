"""Listen addresses: "127.0.0.1:2525", "[::1]:25", "unix:/run/gatepost.sock", "fd:3".

A host must be an IP address, not a name. A name may resolve to another address after a restart, and
the server could then listen on a network unintentionally.
"""

import re
from ipaddress import IPv4Address, IPv6Address

import msgspec

# sun_path of sockaddr_un has 108 octets on Linux including the NUL, 104 on other systems.
MAX_UNIX_PATH = 103
MAX_FD = 2**31 - 1

EXPECTED_LISTEN_ADDRESS = (
    'an address such as "127.0.0.1:2525", "0.0.0.0:25" (all of IPv4), "[::]:25" (all of IPv6),'
    ' "unix:/run/gatepost.sock" or "fd:3"'
)

_INET = re.compile(
    r"(?:([0-9.]{7,15})|\[([0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,15})?)\]):([0-9]{1,5})"
)
_FD = re.compile(r"[0-9]{1,10}")


class ListenError(ValueError):
    """The text is not a listen address; the message gives the expected forms."""

    def __init__(self, text: str) -> None:
        super().__init__(f"expected {EXPECTED_LISTEN_ADDRESS}, found {text[:80]!r}")


class InetAddress(msgspec.Struct, frozen=True):
    """A TCP address: IPv4 or IPv6 without brackets; port 0 is any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(msgspec.Struct, frozen=True):
    """A Unix socket; a relative path starts at the configuration's folder."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class InheritedSocket(msgspec.Struct, frozen=True):
    """A listening socket that the parent process has opened, by file descriptor."""

    fd: int

    def __str__(self) -> str:
        return f"fd:{self.fd}"


ListenAddress = InetAddress | UnixAddress | InheritedSocket


def parse_listen_address(text: str) -> ListenAddress:
    """Parse one of the forms above; raises `ListenError`."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "unix":
        return _unix(text, rest)
    if colon and scheme == "fd":
        return _inherited(text, rest)
    return _inet(text)


def _unix(text: str, path: str) -> UnixAddress:
    if not path or not path.isprintable() or len(path.encode()) > MAX_UNIX_PATH:
        raise ListenError(text)
    return UnixAddress(path)


def _inherited(text: str, number: str) -> InheritedSocket:
    if not _FD.fullmatch(number) or int(number) > MAX_FD:
        raise ListenError(text)
    return InheritedSocket(int(number))


def _inet(text: str) -> InetAddress:
    match = _INET.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ListenError(text)
    try:
        host = IPv4Address(match[1]) if match[1] else IPv6Address(match[2])
    except ValueError as error:
        raise ListenError(text) from error
    return InetAddress(str(host), int(match[3]))
