"""Lists of IP networks: one version in memory, and a file of them.

One network or address per line: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`. Comments, blank
lines, notes and errors work as in `entry`. The bits after the prefix must be zero. An IPv4 address
within an IPv6 address (`::ffff:192.0.2.1`) is looked up as the IPv4 address.

Limits: those of a list in memory. A look-up costs a step for each different length of prefix.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, TypeAlias

from gatepost.lists.entry import (
    LineError,
    check_text,
    decode_line,
    is_blank_or_comment,
    parse_each,
)
from gatepost.lists.file import MemoryFile
from gatepost.lists.text import read_lines, with_pauses

_BLANKS = " \t\r\n"
_EXPECTED = "a network such as 192.0.2.0/24 or 2001:db8::/32"

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network


class _Prefix(NamedTuple):
    """The networks of a version and a length of prefix, by their number."""

    version: int
    length: int


class NetworkList:
    """One version of a list. `errors` has the bad lines."""

    def __init__(self, items: Iterable[_Network | LineError] = ()) -> None:
        found = list(items)
        self.errors = [item for item in found if isinstance(item, LineError)]
        self.bad_lines = len(self.errors)
        self._size = 0
        networks: dict[_Prefix, dict[int, _Network]] = {}
        for one in found:
            if not isinstance(one, LineError):
                same = networks.setdefault(_Prefix(one.version, one.prefixlen), {})
                same[_number(one.network_address, one.prefixlen)] = one
        self._networks = sorted(networks.items(), reverse=True)
        self._size = sum(len(same) for _, same in self._networks)

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read lines, numbered from 1; `source` is the file name in errors."""
        return cls(parse_each(parse_network_line, lines, source))

    @property
    def current(self) -> Self:
        """The list itself; a `NetworkFile` has the same attribute."""
        return self

    def find(self, address: _Address) -> _Network | None:
        """Return the smallest network that contains an address, or None."""
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        for prefix, networks in self._networks:
            if prefix.version == address.version:
                found = networks.get(_number(address, prefix.length))
                if found is not None:
                    return found
        return None

    def __len__(self) -> int:
        return self._size


def _number(address: _Address, length: int) -> int:
    return int(address) >> (address.max_prefixlen - length)


class NetworkFile(MemoryFile[NetworkList]):
    """A network list file; `current` is the last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_networks)
        self.current = NetworkList()


def parse_networks(file: BinaryIO, source: str) -> NetworkList:
    """Read a network list into memory."""
    return NetworkList(with_pauses(parse_each(_parse_octets, read_lines(file), source)))


def _parse_octets(raw: bytes, source: str, line: int) -> _Network | None:
    return parse_network_line(decode_line(raw, source, line), source, line)


def parse_network_line(text: str, source: str, line: int) -> _Network | None:
    """Return the network of a line, None for comments and blank lines; raises `LineError`."""
    text = text.strip(_BLANKS)
    if is_blank_or_comment(text):
        return None
    try:
        word = check_text(text).replace("\t", " ").partition(" ")[0]
    except ValueError as error:
        raise LineError(source, line, str(error), text) from None
    try:
        return ip_network(word)
    except ValueError:
        raise LineError(source, line, _EXPECTED, text) from None
