"""Whose spool file is whose: a folder of files, each with a lock beside it.

`1.db` is owned by the process that holds the lock on `1.lock`; the system lets go of that however
the process ends. The lock is on a file of its own, as SQLite's own locks on the database are lost
as soon as anybody closes it. A lock file is only taken away by its owner, together with the file it
is for; who gets a lock therefore looks whether it is still the file of that name.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gatepost.disk.durable import DurableFolders
from gatepost.queue.spool.corrupt import all_aside, beside, journal_of

_NAME = re.compile(r"([1-9][0-9]{0,8})\.db")


class Claimed:
    """A spool file that is ours for as long as this is not released."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def number(self) -> int:
        """The file's number, which its name is made from."""
        return _number(self.path)

    def release(self) -> None:
        """Leave the file to others."""
        os.close(self._lock)

    def remove(self) -> None:
        """Remove the file, which is closed and has no message any more."""
        # The journal first: beside another file of this name it would pass for that one's.
        try:
            for path in (journal_of(self.path), self.path, *beside(self.path), _lock_of(self.path)):
                path.unlink(missing_ok=True)
        finally:
            self.release()


def files(folder: Path) -> list[Path]:
    """Return the spool files of a folder in order; none if it is not there."""
    with suppress(FileNotFoundError):
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_number)
    return []


def _number(path: Path) -> int:
    return int(path.stem)


def claim(folder: Path) -> Claimed:
    """Return the first file that nobody owns, or a new one; raises OSError."""
    DurableFolders().ensure(folder.absolute())
    existing = next(orphans(folder), None)
    return existing or _new(folder)


def orphans(folder: Path) -> Iterator[Claimed]:
    """Claim the files that nobody owns, one after the other; raises OSError.

    Where one was set aside that is not done with there need not be another of its name.
    """
    left = {one.file for one in all_aside(folder) if not one.done}
    for path in sorted(left.union(files(folder)), key=_number):
        claimed = _claim(path)
        if claimed is not None:
            yield claimed


def _new(folder: Path) -> Claimed:
    number = 1
    while True:
        path = folder / f"{number}.db"
        claimed = None if path.exists() else _claim(path)
        if claimed is not None:
            return claimed
        number += 1


def _claim(path: Path) -> Claimed | None:
    lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == _lock_of(path).stat().st_ino:
            return Claimed(path, lock)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
