"""Folders that survive a power cut: each is made, then its entry is fsynced into its parent.

Whether a folder was found or made does not matter: another thread or process, even one that died
since, may have made it and not come to the fsync. So each is fsynced once for as long as it is
remembered.

Limits: MAX_REMEMBERED folders; clients choose recipients' names, so memory needs a bound. Past it
all are forgotten and fsynced anew at their next use.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_REMEMBERED = 10_000
FOLDER_MODE = 0o700
FILE_MODE = 0o600


class DurableFolders:
    """Makes folders durable and remembers which are; threads may share one."""

    def __init__(self) -> None:
        self._durable: set[Path] = set()

    def ensure(self, folder: Path) -> None:
        """Return when `folder` (an absolute path) and all above it exist durably.

        Raises OSError where that cannot be.
        """
        if folder in self._durable and folder.is_dir():
            return
        if folder != folder.parent:
            self.ensure(folder.parent)
            _sync_entry(folder, made=_make(folder))
        if len(self._durable) >= MAX_REMEMBERED:
            self._durable.clear()
        self._durable.add(folder)


def ensure_file(path: Path) -> None:
    """Return when there is a file `path`, an empty one if it had to be made. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with suppress(FileExistsError):
        descriptor = os.open(path, flags, FILE_MODE)
        try:
            with naming(path):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Fsync a folder: the names in it, not the files. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the path to an OSError that names none: those of writes and fsyncs."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _make(folder: Path) -> bool:
    """Return whether it had to be made."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if folder.is_dir():  # another thread or process was faster
            return False
        raise NotADirectoryError(errno.ENOTDIR, "Expected a folder", str(folder)) from None
    return True


def _sync_entry(folder: Path, *, made: bool) -> None:
    try:
        sync_folder(folder.parent)
    except PermissionError:
        # A parent we may pass through but not read, as /home often is: it is not of our making.
        if made:
            raise
