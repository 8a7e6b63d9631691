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

from gatepost.delivery.durable import DurableFolders, sync_folder

_NAME = re.compile(r"([1-9][0-9]{0,8})\.db")
# What SQLite has beside a file, and our own journal.
JOURNAL = "-log"
BESIDE = ("-wal", "-shm", "-journal", JOURNAL)


class Claimed:
    """A spool file that is ours for as long as this is not released."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def number(self) -> int:
        """The file's number, which its name is made from."""
        return int(self.path.stem)

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


def beside(path: Path) -> list[Path]:
    """Return the names of the files that are beside one."""
    return [path.with_name(path.name + ending) for ending in BESIDE]


def journal_of(path: Path) -> Path:
    """Return the name of the journal beside a file."""
    return path.with_name(path.name + JOURNAL)


def files(folder: Path) -> list[Path]:
    """Return the spool files of a folder in order; none if it is not there."""
    with suppress(FileNotFoundError):
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem))
    return []


def claim(folder: Path) -> Claimed:
    """Return the first file that nobody owns, or a new one; raises OSError."""
    DurableFolders().ensure(folder.absolute())
    existing = next(orphans(folder), None)
    return existing or _new(folder)


def orphans(folder: Path) -> Iterator[Claimed]:
    """Claim the files that nobody owns, one after the other; raises OSError."""
    for path in files(folder):
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


def set_aside(path: Path, moment: str) -> Path:
    """Rename a damaged file, and what is beside it, to NAME.damaged-MOMENT.

    Raises OSError, and then has renamed nothing.
    """
    place = path.with_name(f"{path.name}.damaged-{moment}")
    try:
        _rename(path, place)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            _rename(place, path)
        raise
    return place


def put_back(place: Path, path: Path) -> None:
    """Undo `set_aside`, and forget what has been begun in place of the file; raises OSError."""
    for begun in (path, *beside(path)):
        begun.unlink(missing_ok=True)
    _rename(place, path)


def _rename(path: Path, place: Path) -> None:
    for old, new in zip((path, *beside(path)), (place, *beside(place)), strict=True):
        with suppress(FileNotFoundError):
            old.rename(new)
