"""List files: small and big address lists, and domain lists.

A file of up to INDEX_ABOVE octets is read into memory again, as a whole, after each change. A
bigger file has an index file in `cache_dir` (see `index`), which a child process builds at low
priority. Later changes overlay the index at once (see `indexed`). If too much has changed, the old
version stays in force until the child has built a new index – one or two seconds per million lines
– and `FileChange.pending` is set.

A server does not wait for the first index of a list above LATE_ABOVE octets (`ListFile.begin`).

Limits: domain lists INDEX_ABOVE octets, address lists `index.MAX_TEXT`.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from gatepost.lists.addresses import AddressList
from gatepost.lists.domains import DomainList, parse_domain_octets
from gatepost.lists.entry import LineError, ListEntry, parse_octets, parse_or_error
from gatepost.lists.indexing.builder import IndexBuilder, index_path
from gatepost.lists.indexing.difference import Hunk, difference
from gatepost.lists.indexing.index import MAX_TEXT, Index, IndexFileError
from gatepost.lists.indexing.indexed import IndexedList
from gatepost.lists.reloadable import (
    FileChange,
    FileIdentity,
    ListError,
    ParsedList,
    ReloadableFile,
)
from gatepost.lists.text import Text, read_lines, with_pauses

_List = TypeVar("_List", bound=ParsedList)

# About 160,000 addresses: 0.3 s to read, 40 MB of memory.
INDEX_ABOVE = 4 * 1024 * 1024

# An overlay takes memory in every worker; beyond this size a new index is built.
COMPACT_ABOVE = 256 * 1024

# A bigger list is not waited for at the start of a server: its index takes more than a second.
LATE_ABOVE = 16 * 1024 * 1024

# How often to build the index at start if the list keeps changing.
_MAX_BUILDS = 3
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class MemoryFile(ReloadableFile[_List]):
    """A list file that is read into memory; `parse` creates the list."""

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
        loaded = self._accept(self._parse(file, str(self.path)), file)
        self._digest = digest
        return loaded


class DomainFile(MemoryFile[DomainList]):
    """A domain list file; `current` is the last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_domains)
        self.current = DomainList()


class ListFile(MemoryFile[AddressList]):
    """An address list file; `current` is the last good version.

    `cache_dir` is the folder for index files; it is created for the first index. A file above
    `index_above` octets has an index, and `begin` does not wait for that of a file above
    `late_above`. Until it is built, `is_late` is true, and `current` is the version of an older
    index, or empty.
    """

    def __init__(
        self,
        path: Path,
        cache_dir: Path,
        *,
        index_above: int = INDEX_ABOVE,
        late_above: int = LATE_ABOVE,
    ) -> None:
        super().__init__(path, parse_addresses)
        self.current = AddressList()
        self._index_above = index_above
        self._builder = IndexBuilder(path, index_path(path, cache_dir))
        self._index: Index | None = None
        self._hunks: list[Hunk] | None = None
        self._pending = self._announced = False
        self._late_above = late_above
        self._size = 0
        self._late_since: float | None = None

    def load(self) -> None:
        """Read the list for the first time and build its index if needed; raises `ListError`."""
        super().load()
        self._wait_for_index()

    def begin(self) -> None:
        """Read the list for the first time, but do not wait for the index of a very big one.

        Raises `ListError` if the list cannot be read. `refresh` returns the list once it is ready.
        """
        super().load()
        if self._size > MAX_TEXT:
            self._builder.stop()
            raise ListError(f"{self.path}: expected less than 4 GiB, found {self._size} octets")
        if self._pending and self._size > self._late_above:
            self._late_since = self.clock()
            self._use_older_index()
        else:
            self._wait_for_index()

    def _use_older_index(self) -> None:
        index = _open_index(self._builder.target)
        self.loaded = 0.0 if index is None else index.header.modified_ns / 1e9
        if index is not None:
            self.current = IndexedList(index, [], str(self.path))

    @property
    def is_late(self) -> bool:
        """True while the first index of a list that was begun is being built."""
        return self._late_since is not None

    @property
    def problem(self) -> str:
        """As in `ReloadableFile`; a list that is late is a problem too."""
        late = f"{self.path}: the index is being built" if self.is_late else ""
        return super().problem or late

    def _wait_for_index(self) -> None:
        for _ in range(_MAX_BUILDS):
            if not self._pending:
                return
            self._builder.wait()
            self._index = None
            super().load()
        if self._pending:
            self._builder.stop()
            raise ListError(f"{self.path}: the file changes faster than its index can be built")

    def refresh(self) -> FileChange | None:
        """Read the list again if it or its index changed; return None if nothing changed."""
        try:
            if self._builder.finished():
                self._index = self._last_seen = None
        except ListError as error:
            return self._fail(str(error))
        return super().refresh()

    def close(self) -> None:
        """Stop building the index."""
        self._builder.stop()

    def _read(self, file: BinaryIO, identity: FileIdentity) -> AddressList | None:
        self._size = identity.size
        if identity.size > self._index_above:
            return self._read_big(check_encoding(self.path, file), identity)
        loaded = self._read_memory(file)
        self._builder.stop()
        self._index = self._hunks = None
        self._pending = False
        return loaded

    def _read_big(self, file: BinaryIO, identity: FileIdentity) -> AddressList | None:
        index = self._index or _open_index(self._builder.target)
        hunks = None if index is None else _hunks_since_index(index, file, identity)
        self._pending = hunks is None
        if index is None or hunks is None:
            self._builder.start()
            return None
        if index is self._index and hunks == self._hunks:
            return None
        loaded = self._accept(IndexedList(index, hunks, str(self.path)), file)
        self._index, self._hunks, self._digest = index, hunks, b""
        if sum(hunk.changed for hunk in hunks) > COMPACT_ABOVE:
            self._builder.start()
        return loaded

    def _succeed(self, loaded: AddressList | None) -> FileChange | None:
        if not self._pending:
            self._announced = False
            return self._without_delay(super()._succeed(loaded))
        if self._announced:
            return None
        self._announced = True
        return FileChange(self.path, len(self.current), pending=True)

    def _without_delay(self, change: FileChange | None) -> FileChange | None:
        """Return a change with the seconds that the list was late, if it was."""
        since, self._late_since = self._late_since, None
        if change is None or since is None:
            return change
        return msgspec.structs.replace(change, late=self.clock() - since)

    def _doubt(self, loaded: AddressList, file: BinaryIO, *, ends_inside_line: bool) -> str:
        """As in `ReloadableFile`, but a process that starts takes the file as it is."""
        return (
            "" if self.is_late else super()._doubt(loaded, file, ends_inside_line=ends_inside_line)
        )


def _open_index(path: Path) -> Index | None:
    """Return a usable index, or None."""
    try:
        return Index(path)
    except (OSError, IndexFileError):
        return None


def _hunks_since_index(index: Index, file: BinaryIO, identity: FileIdentity) -> list[Hunk] | None:
    """Return the changes of a list since its index was built; None if too much changed."""
    if index.header.identity == identity:
        return []
    return difference(index.text, Text.of_file(file.fileno(), identity.size))


def parse_addresses(file: BinaryIO, source: str) -> AddressList:
    """Read an address list into memory."""
    return AddressList(with_pauses(_items(file, source)))


def _items(file: BinaryIO, source: str) -> Iterator[ListEntry | LineError]:
    for number, raw in enumerate(read_lines(file), start=1):
        item = parse_or_error(parse_octets, raw, source, number)
        if item is not None:
            yield item


def parse_domains(file: BinaryIO, source: str) -> DomainList:
    """Read a domain list into memory."""
    return DomainList(with_pauses(_domain_items(file, source)))


def _domain_items(file: BinaryIO, source: str) -> Iterator[str | LineError]:
    for number, raw in enumerate(read_lines(file), start=1):
        item = parse_or_error(parse_domain_octets, raw, source, number)
        if item is not None:
            yield item


def check_encoding(path: Path, file: BinaryIO) -> BinaryIO:
    """Return the file; raises `ListError` if it is UTF-16."""
    if file.read(2) in _UTF_16:
        raise ListError(f"{path}: expected UTF-8, found the byte order mark of UTF-16")
    file.seek(0)
    return file
