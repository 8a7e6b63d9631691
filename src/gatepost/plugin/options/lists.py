"""Lists as options of a plugin: of addresses, domains, networks and regular expressions.

    class Options(Plugin.Options):
        blocked: AddressList = AddressList()

    blocked = ["spammer@example.net", "@example.org", "file:blocked"]

The entries, their syntax and the rules for files are those of the core's lists: a file is read
again when it changes, and one that is missing, empty or half-written leaves the previous version in
force (see `gatepost.lists.reloadable`). A relative file name starts at the configuration's folder.

The server reads the files before the plugin starts. In a plugin without a server, such as in a
test, the first look-up reads them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from gatepost.config.formats import FILE_PREFIX
from gatepost.config.problem import format_value, quote
from gatepost.lists import addresses, domains, networks, regexes
from gatepost.lists.entry import LineError
from gatepost.lists.file import DomainFile, ListFile
from gatepost.lists.reloadable import ReloadableFile
from gatepost.model.address import Address, AddressError, domain_key
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Recipient
from gatepost.plugin.place import Place

_INLINE = "options"


class _Version(Protocol):
    """One version of a list."""

    errors: list[LineError]

    def __len__(self) -> int: ...


_V = TypeVar("_V", bound=_Version)


class OptionList(ABC, Generic[_V]):
    """A list of inline entries and of the entries of files (`file:NAME`).

    Raises ValueError for an inline entry that is not valid. `files` are the files, to be read
    again when they change.
    """

    expected: ClassVar[str]

    def __init__(self, *entries: str, place: Place | None = None) -> None:
        self.entries = entries
        inline = self._parse([one for one in entries if not one.startswith(FILE_PREFIX)])
        for error in inline.errors:
            raise ValueError(f"expected {error.expected}, found {quote(error.found)}")
        names = [one.removeprefix(FILE_PREFIX) for one in entries if one.startswith(FILE_PREFIX)]
        where = Place() if place is None else place
        self.files: tuple[ReloadableFile[Any], ...] = tuple(
            self._shared_file(where, name) for name in names
        )
        self._inline = inline
        self._is_loaded = not self.files

    @classmethod
    def read(cls, value: object, place: Place) -> Self:
        """Return the list of a configured value, or the same list at another place."""
        entries = value.entries if isinstance(value, cls) else _strings(value)
        if entries is None or not all(map(_is_entry, entries)):
            raise ValueError(f"expected {cls.expected}, found {format_value(value)}")
        return cls(*entries, place=place)

    def _shared_file(self, place: Place, name: str) -> ReloadableFile[Any]:
        path = place.base / name
        key = (type(self), path)
        if key not in place.files:
            place.files[key] = self._file(path, place.data_dir / "cache")
        file: ReloadableFile[Any] = place.files[key]
        return file

    @abstractmethod
    def _parse(self, lines: Sequence[str]) -> _V:
        """Return the version of inline entries."""

    @abstractmethod
    def _file(self, path: Path, cache_dir: Path) -> ReloadableFile[Any]:
        """Return the file at a path; it is not read yet."""

    def _versions(self) -> list[_V]:
        """Return the current version of each source."""
        if not self._is_loaded:
            self._load()
        return [self._inline, *[file.current for file in self.files]]

    def _load(self) -> None:
        for file in self.files:
            if not file.is_loaded:
                file.load()
        self._is_loaded = True

    def __len__(self) -> int:
        return sum(map(len, self._versions()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.entries))})"


def _strings(value: object) -> Sequence[str] | None:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return value
    return None


def _is_entry(text: str) -> bool:
    """Return whether a text is an entry or names a file: not blank and not a comment."""
    return bool(text.removeprefix(FILE_PREFIX).strip()) and text[0] != "#" and "\0" not in text


class AddressList(OptionList[addresses.AddressList]):
    """Addresses, `@domain` and `/regular expression/`, as in a trap list.

    Spellings of an address are equal as in the core: letter case, A-labels, quotes. A subaddress is
    part of the address.
    """

    expected = 'addresses such as "user@example.com" and "@example.com", or "file:NAME"'

    def match(self, address: Address | Recipient | str) -> str | None:
        """Return the entry that matches an address, as written, or None."""
        key = _address_key(address)
        if not key:
            return None
        for version in self._versions():
            entry = version.find(key, key)
            if entry is not None:
                return entry.text
        return None

    def __contains__(self, address: Address | Recipient | str) -> bool:
        return self.match(address) is not None

    def _parse(self, lines: Sequence[str]) -> addresses.AddressList:
        return addresses.AddressList.from_lines(lines, _INLINE)

    def _file(self, path: Path, cache_dir: Path) -> ListFile:
        return ListFile(path, cache_dir)


def _address_key(address: Address | Recipient | str) -> str:
    """Return the canonical address, "" for the null path and for text that is no address."""
    if isinstance(address, Recipient):
        address = address.address
    elif isinstance(address, str):
        try:
            address = Address.parse(address)
        except AddressError:
            return ""
    return address.key if address else ""


class DomainList(OptionList[domains.DomainList]):
    """Domains: `example.com`, `.example.com` for its subdomains, `[192.0.2.1]`.

    Spellings of a domain are equal as in the core: letter case, A-labels, a final dot.
    """

    expected = 'domains such as "example.com" and ".example.com", or "file:NAME"'

    def match(self, domain: Address | Recipient | str) -> str | None:
        """Return the entry that matches a domain, or the domain of an address, or None."""
        key = domain_key(_domain(domain))
        for version in self._versions():
            entry = version.find(key)
            if entry is not None:
                return entry
        return None

    def __contains__(self, domain: Address | Recipient | str) -> bool:
        return self.match(domain) is not None

    def _parse(self, lines: Sequence[str]) -> domains.DomainList:
        return domains.DomainList.from_lines(lines, _INLINE)

    def _file(self, path: Path, _cache_dir: Path) -> DomainFile:
        return DomainFile(path)


def _domain(domain: Address | Recipient | str) -> str:
    if isinstance(domain, Recipient):
        domain = domain.address
    return domain.domain if isinstance(domain, Address) else domain


class NetworkList(OptionList[networks.NetworkList]):
    """IP networks and addresses: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`."""

    expected = 'networks such as "192.0.2.0/24" and "2001:db8::/32", or "file:NAME"'

    def match(self, address: Endpoint | IPv4Address | IPv6Address | str) -> str | None:
        """Return the smallest network that contains an address, or None.

        A Unix socket, and text that is no address, are in no network.
        """
        found = _ip(address)
        if found is None:
            return None
        for version in self._versions():
            network = version.find(found)
            if network is not None:
                return str(network)
        return None

    def __contains__(self, address: Endpoint | IPv4Address | IPv6Address | str) -> bool:
        return self.match(address) is not None

    def _parse(self, lines: Sequence[str]) -> networks.NetworkList:
        return networks.NetworkList.from_lines(lines, _INLINE)

    def _file(self, path: Path, _cache_dir: Path) -> networks.NetworkFile:
        return networks.NetworkFile(path)


def _ip(
    address: Endpoint | IPv4Address | IPv6Address | str,
) -> IPv4Address | IPv6Address | None:
    if isinstance(address, IPv4Address | IPv6Address):
        return address
    try:
        return ip_address(address.host if isinstance(address, Endpoint) else address)
    except ValueError:
        return None


class RegexList(OptionList[regexes.RegexList]):
    r"""Regular expressions of RE2, searched in a text, ignoring case: `^sales-\d+$`."""

    expected = 'regular expressions of RE2, or "file:NAME"'

    def match(self, text: str) -> str | None:
        """Return the first expression that is found in a text, or None."""
        for version in self._versions():
            pattern = version.find(text)
            if pattern is not None:
                return pattern
        return None

    def __contains__(self, text: str) -> bool:
        return self.match(text) is not None

    def _parse(self, lines: Sequence[str]) -> regexes.RegexList:
        return regexes.RegexList.from_lines(lines, _INLINE)

    def _file(self, path: Path, _cache_dir: Path) -> regexes.RegexFile:
        return regexes.RegexFile(path)
