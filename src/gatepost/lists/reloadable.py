"""A file that is read again when it changes, and its last good version.

`refresh` costs one stat while the file is unchanged. A file has changed if its time stamps, size or
inode have. Time stamps have a limited resolution, so a file that was written just before it was
read is read once more. If the file is missing, is a folder, is unreadable or has only bad lines
although it had entries before, the last good version stays in force. The problem is reported once,
not at every poll.

A program that fails while it writes leaves a file that is empty or ends inside a line. A list that
lost all its entries, or that is shorter than before and newly ends inside a line, therefore takes
effect only after KEEP_PREVIOUS. The line EMPTY_ON_PURPOSE in a list without entries ends the wait.
The previous version is known only to a process that has read it: a process that starts reads the
file as it is.

Blocking I/O: call it from a thread, not from the event loop. Only one thread may use a file.
"""

import os
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from gatepost.config.units import format_duration
from gatepost.lists.entry import LineError
from gatepost.lists.text import read_lines

# How long a list that is perhaps damaged does not take effect, in seconds: long enough for an
# administrator to read the error in the log and to repair the file.
KEEP_PREVIOUS = 3600.0
EMPTY_ON_PURPOSE = b"# empty"

# More than the coarsest time stamp resolution of common file systems.
_MAX_TICK = 50_000_000


class ListError(Exception):
    """A list is unusable; the message gives the file and the reason."""


class FileChange(msgspec.Struct, frozen=True):
    """The result of a refresh that is to be reported.

    Without `problem` there is a new version with `entries` entries and the bad lines `errors`. With
    `problem` the old version stays in force. `pending` means that a new version is being built.
    `late` are the seconds that the first version was missing after the start, None if it was not.
    """

    path: Path
    entries: int
    errors: tuple[LineError, ...] = ()
    problem: str = ""
    pending: bool = False
    late: float | None = None


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
    """A file and its last good version `current`, which is replaced as a whole.

    `is_loaded` is true after the first successful `load`. `loaded` is when it was last
    read, in seconds since 1970, 0 before that. One that `is_optional` has an empty `current` from
    the beginning: that it does not exist is no problem while it has no entries.
    """

    current: _List
    is_optional: ClassVar[bool] = False
    clock = staticmethod(time.monotonic)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_loaded = False
        self.loaded = 0.0
        self._last_seen: FileIdentity | None = None
        self._problem = ""
        self._doubted_since: float | None = None
        self._ended_inside_line = False

    @abstractmethod
    def _read(self, file: BinaryIO, identity: FileIdentity) -> _List | None:
        """Return the new version, or None if the content is unchanged."""

    def load(self) -> None:
        """Read the file for the first time; raises `ListError`."""
        if self.is_optional and not self.path.exists():
            self.is_loaded = True
            return
        with open_regular_file(self.path) as (file, identity):
            self._store_identity(identity)
            loaded = self._read(file, identity)
        self.current = self.current if loaded is None else loaded
        self.is_loaded = True
        self.loaded = time.time()

    def refresh(self) -> FileChange | None:
        """Read the file again if it changed; return None if there is nothing to report."""
        if self.is_optional and not len(self.current) and not self.path.exists():
            return None
        try:
            unchanged = self._last_seen == self._stat() and not self._is_wait_over()
            return None if unchanged else self._refresh()
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

    @property
    def problem(self) -> str:
        """The reason why the file cannot be read now and `current` is older, "" if it can."""
        return self._problem

    def _succeed(self, loaded: _List | None) -> FileChange | None:
        self.loaded = time.time()
        if loaded is None and not self._problem:
            return None
        self.current = self.current if loaded is None else loaded
        self._problem = ""
        self._doubted_since = None
        return FileChange(self.path, len(self.current), tuple(self.current.errors))

    def _fail(self, problem: str) -> FileChange | None:
        if problem == self._problem:
            return None
        self._problem = problem
        return FileChange(self.path, len(self.current), problem=problem)

    def _accept(self, loaded: _List, file: BinaryIO) -> _List:
        """Return a new version; raises `ListError` if it is bad, or perhaps damaged."""
        ends_inside_line = _ends_inside_line(file)
        doubt = self._doubt(loaded, file, ends_inside_line=ends_inside_line)
        if doubt:
            self._wait(doubt)
        self._ended_inside_line = ends_inside_line
        return loaded

    def _doubt(self, loaded: _List, file: BinaryIO, *, ends_inside_line: bool) -> str:
        """Return why a new version is perhaps damaged, "" if it is not."""
        before, now = len(self.current), len(loaded)
        if before and not now:
            return "" if _is_empty_on_purpose(file) else self._without_entries(loaded)
        if now < before and ends_inside_line and not self._ended_inside_line:
            return f"found {now} entries, {before} before, and the last line has no line end"
        return ""

    def _without_entries(self, loaded: _List) -> str:
        if loaded.bad_lines:
            first = loaded.errors[0]
            raise ListError(f"{self.path}: expected an entry, found only bad lines: {first}")
        found = f"found no entry, {len(self.current)} before"
        return f"{found}: if the list is to be empty, write {EMPTY_ON_PURPOSE.decode()}"

    def _wait(self, doubt: str) -> None:
        """Raise `ListError` until KEEP_PREVIOUS is over."""
        if self._doubted_since is None:
            self._doubted_since = self.clock()
        if not self._is_wait_over():
            kept = f"the previous version stays in force for {format_duration(KEEP_PREVIOUS)}"
            raise ListError(f"{self.path}: {doubt}; {kept}")

    def _is_wait_over(self) -> bool:
        since = self._doubted_since
        return since is not None and self.clock() - since >= KEEP_PREVIOUS

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


def _ends_inside_line(file: BinaryIO) -> bool:
    end = file.seek(0, os.SEEK_END)
    if not end:
        return False
    file.seek(end - 1)
    return file.read(1) != b"\n"


def _is_empty_on_purpose(file: BinaryIO) -> bool:
    file.seek(0)
    return any(line.strip() == EMPTY_ON_PURPOSE for line in read_lines(file))
