"""The ownership of spool files: a folder of files, each with a lock file.

The process that holds the lock on `1.lock` owns `1.db`. The system releases the lock however the
process ends. The lock is on a separate file: a lock on the database itself would be lost when the
process closes any descriptor of it. Only the owner removes a lock file, together with the spool
file. A process that gets a lock therefore checks that the name still refers to the same file.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gatepost.disk.durable import DurableFolders
from gatepost.queue.spool.corrupt import companions, corrupt_files, journal_of

_NAME = re.compile(r"([1-9][0-9]{0,8})\.db")


class ClaimedFile:
    """A spool file that this process owns until `release`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def number(self) -> int:
        """The number in the name of the file."""
        return _number(self.path)

    def release(self) -> None:
        """Give up the ownership."""
        os.close(self._lock)

    def remove(self) -> None:
        """Remove the file, which must be closed and empty."""
        # The journal goes first: the next file of this name would take it for its own.
        paths = (journal_of(self.path), self.path, *companions(self.path), _lock_of(self.path))
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        finally:
            self.release()


def files(folder: Path) -> list[Path]:
    """Return the spool files of a folder in order; none if the folder does not exist."""
    with suppress(FileNotFoundError):
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_number)
    return []


def _number(path: Path) -> int:
    return int(path.stem)


def claim(folder: Path) -> ClaimedFile:
    """Return the first file without an owner, or a new one; raises OSError."""
    DurableFolders().ensure(folder.absolute())
    existing = next(orphans(folder), None)
    return existing or _new(folder)


def is_owned(path: Path) -> bool:
    """Return whether a process owns a spool file; raises OSError."""
    try:
        lock = os.open(_lock_of(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def orphans(folder: Path) -> Iterator[ClaimedFile]:
    """Claim the files without an owner, one after the other; raises OSError.

    A damaged file that is not recovered counts, even if no file has the original name.
    """
    damaged = {one.original for one in corrupt_files(folder) if not one.is_recovered}
    for path in sorted(damaged.union(files(folder)), key=_number):
        claimed = _claim(path)
        if claimed is not None:
            yield claimed


def _new(folder: Path) -> ClaimedFile:
    number = 1
    while True:
        path = folder / f"{number}.db"
        claimed = None if path.exists() else _claim(path)
        if claimed is not None:
            return claimed
        number += 1


def _claim(path: Path) -> ClaimedFile | None:
    lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == _lock_of(path).stat().st_ino:
            return ClaimedFile(path, lock)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
