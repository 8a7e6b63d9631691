"""A file that is read again when it changes, and its last good version.

`refresh` costs one stat while the file is unchanged. A file has changed if its time stamps, size or
inode have. Time stamps have a limited resolution, so a file that was written just before it was
read is read once more. If the file is missing, is a folder, is unreadable or no longer contains any
entry although it did before, the last good version stays in force. The problem is reported once,
not at every poll.

A program that truncates the file before it writes new content would empty the list for a moment. An
empty file therefore takes effect only if it is empty twice in a row. Replacing a list by rename is
safer still.

Blocking I/O: call it from a thread, not from the event loop. Only one thread may use a file.
"""

import os
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from gatepost.lists.entry import LineError

# More than the coarsest time stamp resolution of common file systems.
_MAX_TICK = 50_000_000


class ListError(Exception):
    """A list is unusable; the message gives the file and the reason."""


class FileChange(msgspec.Struct, frozen=True):
    """The result of a refresh that is to be reported.

    Without `problem` there is a new version with `entries` entries and the bad lines `errors`. With
    `problem` the old version stays in force. `pending` means that a new version is being built.
    """

    path: Path
    entries: int
    errors: tuple[LineError, ...] = ()
    problem: str = ""
    pending: bool = False


class FileIdentity(NamedTuple):
    """The attributes that distinguish one state of a file from another."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int
    device: int


def identify_file(status: os.stat_result) -> FileIdentity:
    """Return the identity of a file from its stat result."""
    return FileIdentity(
        status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev
    )


def is_stable(identity: FileIdentity) -> bool:
    """Return whether any later write would change the time stamp of the file."""
    return not 0 <= time.time_ns() - identity.modified_ns < _MAX_TICK


class ParsedList(Protocol):
    """The parsed content of a file: entries and bad lines."""

    errors: list[LineError]
    bad_lines: int

    def __len__(self) -> int:
        """Return the number of entries."""
        ...


_List = TypeVar("_List", bound=ParsedList)


class ReloadableFile(ABC, Generic[_List]):
    """A file and its last good version `current`, which is replaced as a whole."""

    current: _List

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last_seen: FileIdentity | None = None
        self._seen_empty: FileIdentity | None = None
        self._problem = ""

    @abstractmethod
    def _read(self, file: BinaryIO, identity: FileIdentity) -> _List | None:
        """Return the new version, or None if the content is unchanged."""

    def load(self) -> None:
        """Read the file for the first time; raises `ListError`."""
        with open_regular_file(self.path) as (file, identity):
            self._store_identity(identity)
            loaded = self._read(file, identity)
        self.current = self.current if loaded is None else loaded

    def refresh(self) -> FileChange | None:
        """Read the file again if it changed; return None if there is nothing to report."""
        try:
            return None if self._last_seen == self._stat() else self._refresh()
        except ListError as error:
            return self._fail(str(error))

    def close(self) -> None:
        """Stop background work for the file."""

    def _stat(self) -> FileIdentity:
        try:
            return identify_file(self.path.stat())
        except OSError as error:
            self._last_seen = None
            raise _unreadable(self.path, error) from error

    def _refresh(self) -> FileChange | None:
        self._last_seen = None
        with open_regular_file(self.path) as (file, identity):
            if self._is_newly_empty(identity):
                return None
            loaded = self._read_once(file, identity)
        return self._succeed(loaded)

    def _read_once(self, file: BinaryIO, identity: FileIdentity) -> _List | None:
        """Read the file; after an I/O error, but not after bad content, read it again next time."""
        self._store_identity(identity)
        try:
            return self._read(file, identity)
        except OSError:
            self._last_seen = None
            raise

    def _succeed(self, loaded: _List | None) -> FileChange | None:
        if loaded is None and not self._problem:
            return None
        self.current = self.current if loaded is None else loaded
        self._problem = ""
        return FileChange(self.path, len(self.current), tuple(self.current.errors))

    def _fail(self, problem: str) -> FileChange | None:
        if problem == self._problem:
            return None
        self._problem = problem
        return FileChange(self.path, len(self.current), problem=problem)

    def _require_entries(self, loaded: _List) -> _List:
        """Return the list; raises `ListError` if it lost all entries and has only bad lines."""
        if loaded.bad_lines and not len(loaded) and len(self.current):
            first = loaded.errors[0]
            raise ListError(f"{self.path}: expected an entry, found only bad lines: {first}")
        return loaded

    def _is_newly_empty(self, identity: FileIdentity) -> bool:
        if identity.size or not len(self.current) or identity == self._seen_empty:
            return False
        self._seen_empty = identity
        return True

    def _store_identity(self, identity: FileIdentity) -> None:
        self._last_seen = identity if is_stable(identity) else None


@contextmanager
def open_regular_file(path: Path) -> Iterator[tuple[BinaryIO, FileIdentity]]:
    """Open a regular file and yield it with its identity; raises `ListError`."""
    try:
        # O_NONBLOCK: opening a named pipe without a writer must not hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            yield file, _identify_regular(path, file)
    except OSError as error:
        raise _unreadable(path, error) from error


def _identify_regular(path: Path, file: BinaryIO) -> FileIdentity:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ListError(f"{path}: expected a regular file, found another file type")
    return identify_file(status)


def _unreadable(path: Path, error: OSError) -> ListError:
    return ListError(f"{path}: cannot be read: {error.strerror or error}")
