"""Lists of senders: networks of clients and domains, mixed, one a line.

A line is read as a network (`networks`) and otherwise as a domain (`domains`). Comments, blank
lines, notes and errors work as in `entry`.

Limits: those of a list in memory.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import BinaryIO, Self

from gatepost.lists.domains import DomainList, parse_domain_line
from gatepost.lists.entry import LineError, decode_line, parse_each
from gatepost.lists.file import MemoryFile
from gatepost.lists.networks import NetworkList, parse_network_line
from gatepost.lists.text import read_lines, with_pauses

_Network = IPv4Network | IPv6Network
_EXPECTED = "a network such as 192.0.2.0/24 or a domain such as example.com"


class SenderList:
    """One version of a list. `errors` has the bad lines."""

    def __init__(self, items: Iterable[_Network | str | LineError] = ()) -> None:
        found = list(items)
        self.errors = [one for one in found if isinstance(one, LineError)]
        self.bad_lines = len(self.errors)
        self._networks = NetworkList(one for one in found if isinstance(one, _Network))
        self._domains = DomainList(one for one in found if isinstance(one, str))

    @classmethod
    def from_lines(cls, lines: Iterable[str], source: str) -> Self:
        """Read items of the configuration, numbered from 1; `source` is the key in errors."""
        return cls(parse_each(parse_sender_line, lines, source))

    @property
    def current(self) -> Self:
        """The list itself; a `SenderFile` has the same attribute."""
        return self

    def has_client(self, host: str) -> bool:
        """Return whether a client's address, as text, is in one of the networks."""
        try:
            return self._networks.find(ip_address(host)) is not None
        except ValueError:  # a Unix socket
            return False

    def has_domain(self, key: str) -> bool:
        """Return whether a domain in canonical form is in the list."""
        return key in self._domains

    def __len__(self) -> int:
        return len(self._networks) + len(self._domains)


class SenderFile(MemoryFile[SenderList]):
    """A list file of senders; `current` is the last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_senders)
        self.current = SenderList()


def parse_senders(file: BinaryIO, source: str) -> SenderList:
    """Read a list of senders into memory."""
    return SenderList(with_pauses(parse_each(_parse_octets, read_lines(file), source)))


def _parse_octets(raw: bytes, source: str, line: int) -> _Network | str | None:
    return parse_sender_line(decode_line(raw, source, line), source, line)


def parse_sender_line(text: str, source: str, line: int) -> _Network | str | None:
    """Return the network or the key of the domain of a line, None for comments and blank lines.

    Raises `LineError`.
    """
    try:
        return parse_network_line(text, source, line)
    except LineError:
        pass
    try:
        return parse_domain_line(text, source, line)
    except LineError as error:
        raise LineError(source, line, _EXPECTED, error.found) from None
