"""Folders that survive a power cut: create each folder, then fsync its entry in the parent.

An existing folder is fsynced, too: another thread or process may have created it and not reached
its fsync, for example because it died. Each folder is fsynced once as long as it is remembered.

Limits: MAX_REMEMBERED folders. Clients choose the names of recipients, so memory needs a bound.
Past the limit the set is cleared, and each folder is fsynced again at its next use.
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
    """Creates durable folders and remembers them; threads may share one object."""

    def __init__(self) -> None:
        self._durable: set[Path] = set()

    def ensure(self, folder: Path) -> None:
        """Create `folder` (an absolute path) and its parents, and make them durable.

        Raises OSError.
        """
        if folder in self._durable and folder.is_dir():
            return
        if folder != folder.parent:
            self.ensure(folder.parent)
            _sync_entry(folder, created=_create(folder))
        if len(self._durable) >= MAX_REMEMBERED:
            self._durable.clear()
        self._durable.add(folder)


def ensure_private(folder: Path) -> Path:
    """Create a folder of the server and its parents, open to their owner only; return it.

    Existing folders keep their mode. They do not survive a power cut if they are new. Raises
    OSError.
    """
    for one in (*reversed(folder.parents), folder):
        _create(one)
    return folder


def ensure_file(path: Path) -> None:
    """Create an empty file unless `path` exists, and make it durable. Raises OSError."""
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
    """Fsync a folder: its entries, not the contents of its files. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the path to an OSError without one, as those of writes and fsyncs are."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _create(folder: Path) -> bool:
    """Create a folder; return False if it existed."""
    if folder.is_dir():
        return False
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if folder.is_dir():  # another thread or process was faster
            return False
        raise NotADirectoryError(errno.ENOTDIR, "Expected a folder", str(folder)) from None
    return True


def _sync_entry(folder: Path, *, created: bool) -> None:
    try:
        sync_folder(folder.parent)
    except PermissionError:
        # A parent that we may pass but not read, as /home often is, was not created by us.
        if created:
            raise


def replace_file(path: Path, content: bytes) -> None:
    """Write a file next to `path` and rename it; a power cut may lose it. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)
