"""List files: of addresses, small and big, and of domains.

A file up to INDEX_ABOVE octets is read into memory, as a whole, whenever it changed. A bigger one
is looked up through an index file in `cache_dir` (see `index`), which a child process builds at
low priority; what changed since is laid over it at once (see `indexed`). Where too much changed
for that, the version before stays in force until the child is done – a few seconds per million
lines – and `Change.pending` says so.

Limits: domain lists INDEX_ABOVE octets, address lists `index.MAX_TEXT`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from gatepost.lists.addresses import AddressList
from gatepost.lists.builder import IndexBuilder, index_path
from gatepost.lists.difference import difference
from gatepost.lists.domains import DomainList, parse_domain_octets
from gatepost.lists.entry import parse_octets, parse_or_error
from gatepost.lists.index import Index, IndexFileError
from gatepost.lists.indexed import IndexedList
from gatepost.lists.lines import read_lines, with_pauses
from gatepost.lists.reloadable import FileChange, ListError, ParsedList, ReloadableFile
from gatepost.lists.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost.lists.difference import Hunk
    from gatepost.lists.entry import LineError, ListEntry
    from gatepost.lists.reloadable import FileIdentity

_List = TypeVar("_List", bound=ParsedList)

# About 160,000 addresses, which take 0.3 s to read and 40 MB to keep.
INDEX_ABOVE = 4 * 1024 * 1024

# What is laid over an index takes memory in every worker; beyond this a new index is made.
COMPACT_ABOVE = 256 * 1024

# A list may change while it is indexed at start, but not for ever.
_BUILDS = 3
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class MemoryFile(ReloadableFile[_List]):
    """A list file that is read into memory; `parse` makes a list of its lines."""

    def __init__(self, path: Path, parse: Callable[[BinaryIO, str], _List]) -> None:
        super().__init__(path)
        self._parse: Callable[[BinaryIO, str], _List] = parse
        self._digest = b""

    def _read(self, file: BinaryIO, identity: FileIdentity) -> _List | None:
        if identity.size > INDEX_ABOVE:
            found = f"found {identity.size}"
            raise ListError(f"{self.path}: expected at most {INDEX_ABOVE} octets, {found}")
        return self._read_memory(file)

    def _read_memory(self, file: BinaryIO) -> _List | None:
        digest = hashlib.blake2b(check_encoding(self.path, file).read()).digest()
        if digest == self._digest:
            return None
        file.seek(0)
        loaded = self._usable(self._parse(file, str(self.path)))
        self._digest = digest
        return loaded


class DomainFile(MemoryFile[DomainList]):
    """A file of domains; `current` is the last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_domains)
        self.current = DomainList()


class ListFile(MemoryFile[AddressList]):
    """A file of addresses; `current` is the last good version.

    `cache_dir` is where index files are kept; it is made when the first is needed. A file above
    `index_above` octets has an index.
    """

    def __init__(self, path: Path, cache_dir: Path, *, index_above: int = INDEX_ABOVE) -> None:
        super().__init__(path, parse_addresses)
        self.current = AddressList()
        self._index_above = index_above
        self._builder = IndexBuilder(path, index_path(path, cache_dir))
        self._index: Index | None = None
        self._hunks: list[Hunk] | None = None
        self._pending = self._announced = False

    def load(self) -> None:
        """Read the list for the first time, building its index if need be; raises `ListError`."""
        super().load()
        for _ in range(_BUILDS):
            if not self._pending:
                return
            self._builder.wait()
            self._index = None
            super().load()
        if self._pending:
            self._builder.stop()
            raise ListError(f"{self.path}: changes faster than its index can be built")

    def refresh(self) -> FileChange | None:
        """Read the list again if it changed or its new index is there; None for no news."""
        try:
            if self._builder.finished():
                self._index = self._seen = None
        except ListError as error:
            return self._fail(str(error))
        return super().refresh()

    def close(self) -> None:
        """End the building of an index that is under way."""
        self._builder.stop()

    def _read(self, file: BinaryIO, identity: FileIdentity) -> AddressList | None:
        if identity.size > self._index_above:
            return self._read_big(check_encoding(self.path, file), identity)
        loaded = self._read_memory(file)
        self._builder.stop()
        self._index = self._hunks = None
        self._pending = False
        return loaded

    def _read_big(self, file: BinaryIO, identity: FileIdentity) -> AddressList | None:
        index = self._index or _open_index(self._builder.target)
        hunks = None if index is None else _changes(index, file, identity)
        self._pending = hunks is None
        if index is None or hunks is None:
            self._builder.start()
            return None
        if index is self._index and hunks == self._hunks:
            return None
        loaded = self._usable(IndexedList(index, hunks, str(self.path)))
        self._index, self._hunks, self._digest = index, hunks, b""
        if sum(hunk.changed for hunk in hunks) > COMPACT_ABOVE:
            self._builder.start()
        return loaded

    def _succeed(self, loaded: AddressList | None) -> FileChange | None:
        if not self._pending:
            self._announced = False
            return super()._succeed(loaded)
        if self._announced:
            return None
        self._announced = True
        return FileChange(self.path, len(self.current), pending=True)


def _open_index(path: Path) -> Index | None:
    """Return an index that can be used, None where there is none."""
    try:
        return Index(path)
    except (OSError, IndexFileError):
        return None


def _changes(index: Index, file: BinaryIO, identity: FileIdentity) -> list[Hunk] | None:
    """Return what changed in a list since it was indexed, None where it is too much."""
    if index.header.identity == identity:
        return []
    return difference(index.text, Text.of_file(file.fileno(), identity.size))


def parse_addresses(file: BinaryIO, source: str) -> AddressList:
    """Read a file of addresses into memory."""
    return AddressList(with_pauses(_items(file, source)))


def _items(file: BinaryIO, source: str) -> Iterator[ListEntry | LineError]:
    for number, raw in enumerate(read_lines(file), start=1):
        item = parse_or_error(parse_octets, raw, source, number)
        if item is not None:
            yield item


def parse_domains(file: BinaryIO, source: str) -> DomainList:
    """Read a file of domains into memory."""
    return DomainList(with_pauses(_domain_items(file, source)))


def _domain_items(file: BinaryIO, source: str) -> Iterator[str | LineError]:
    for number, raw in enumerate(read_lines(file), start=1):
        item = parse_or_error(parse_domain_octets, raw, source, number)
        if item is not None:
            yield item


def check_encoding(path: Path, file: BinaryIO) -> BinaryIO:
    """Return a file that does not begin as UTF-16 does; raises `ListError` if it does."""
    if file.read(2) in _UTF_16:
        raise ListError(f"{path}: expected UTF-8, found the byte order mark of UTF-16")
    file.seek(0)
    return file
