"""A list file that is watched: when it is read again, and what happens when it cannot be.

`refresh` is one cheap stat while nothing changes. A file counts as changed when its time stamps,
size or inode did; time stamps have a granularity, so a file that was written moments before it
was read is read once more. Whatever goes wrong – the file vanishes, becomes a folder, cannot be
read or holds no entry any more where it held some – the last good version stays in force and the
problem is told once, not at every poll.

A writer that empties the file before it fills it again would disarm the list for a moment: an
empty file is believed when it is seen empty twice. Replacing a list by rename is safer still.

Blocking I/O: for a thread, not for the event loop. One thread at a time may call into a file.
"""

from __future__ import annotations

import os
import stat
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost.lists.entry import LineError

# The coarsest clock tick of file systems in use, with room to spare.
_SAME_TICK = 50_000_000


class ListError(Exception):
    """A list that cannot be used; the message names the file and says why."""


class FileChange(msgspec.Struct, frozen=True):
    """What a refresh brought.

    Without a `problem` the list has a new version of so many `entries`, whose bad lines are
    `errors`; with one, the version before stays in force. `pending` says that a new version is on
    its way but takes a while.
    """

    path: Path
    entries: int
    errors: tuple[LineError, ...] = ()
    problem: str = ""
    pending: bool = False


class FileIdentity(NamedTuple):
    """What tells one state of a file from another."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int
    device: int


def identify_file(status: os.stat_result) -> FileIdentity:
    """Return the identity of a file that was stat'ed."""
    return FileIdentity(
        status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev
    )


def is_stable(identity: FileIdentity) -> bool:
    """Whether any later write would give the file another time stamp."""
    return not 0 <= time.time_ns() - identity.modified_ns < _SAME_TICK


class ParsedList(Protocol):
    """What is read from a file: as many entries as its `len`, and the lines that are none."""

    errors: list[LineError]
    bad_lines: int

    def __len__(self) -> int:
        """Return the number of entries."""
        ...


_List = TypeVar("_List", bound=ParsedList)


class ReloadableFile(ABC, Generic[_List]):
    """A list file and its last good version, `current`, which is replaced as a whole."""

    current: _List

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: FileIdentity | None = None
        self._empty: FileIdentity | None = None
        self._problem = ""

    @abstractmethod
    def _read(self, file: BinaryIO, identity: FileIdentity) -> _List | None:
        """Return the file's list, or None when it is no other than the current one."""

    def load(self) -> None:
        """Read the list for the first time; raises `ListError`."""
        with open_regular_file(self.path) as (file, identity):
            self._remember(identity)
            loaded = self._read(file, identity)
        self.current = self.current if loaded is None else loaded

    def refresh(self) -> FileChange | None:
        """Read the list again if it changed; None when there is nothing to say."""
        try:
            return None if self._seen == self._stat() else self._refresh()
        except ListError as error:
            return self._fail(str(error))

    def close(self) -> None:
        """End what runs for the list."""

    def _stat(self) -> FileIdentity:
        try:
            return identify_file(self.path.stat())
        except OSError as error:
            self._seen = None
            raise _unreadable(self.path, error) from error

    def _refresh(self) -> FileChange | None:
        self._seen = None
        with open_regular_file(self.path) as (file, identity):
            if self._wait_for_content(identity):
                return None
            loaded = self._read_once(file, identity)
        return self._succeed(loaded)

    def _read_once(self, file: BinaryIO, identity: FileIdentity) -> _List | None:
        """Read; content that is no list is not read again, what the system refused is."""
        self._remember(identity)
        try:
            return self._read(file, identity)
        except OSError:
            self._seen = None
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

    def _usable(self, loaded: _List) -> _List:
        """Return a list unless it is garbage where there were entries before."""
        if loaded.bad_lines and not len(loaded) and len(self.current):
            raise ListError(f"{self.path}: none of its lines is an entry: {loaded.errors[0]}")
        return loaded

    def _wait_for_content(self, identity: FileIdentity) -> bool:
        if identity.size or not len(self.current) or identity == self._empty:
            return False
        self._empty = identity
        return True

    def _remember(self, identity: FileIdentity) -> None:
        self._seen = identity if is_stable(identity) else None


@contextmanager
def open_regular_file(path: Path) -> Iterator[tuple[BinaryIO, FileIdentity]]:
    """Open a file and say which state of it; raises `ListError` for whatever is no file."""
    try:
        # O_NONBLOCK: opening a pipe nobody writes to must not hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            yield file, _identify_regular(path, file)
    except OSError as error:
        raise _unreadable(path, error) from error


def _identify_regular(path: Path, file: BinaryIO) -> FileIdentity:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ListError(f"{path}: expected a file, found something else")
    return identify_file(status)


def _unreadable(path: Path, error: OSError) -> ListError:
    return ListError(f"{path}: cannot be read: {error.strerror or error}")
