"""Changing a file that a server reads while it runs: locked, durable, and never half of it.

The new version is written beside the file and renamed, with the owner, mode and attributes of the
old one. Two commands at a time wait for each other, so that neither loses the other's work.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def locked(path: Path, flags: int, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a file and lock it; if it was replaced while we waited, the one that took its place.

    `flags` are those of os.open, `mode` that of a file which is made. Raises OSError.
    """
    while True:
        descriptor = os.open(path, flags, mode)
        with os.fdopen(descriptor, "r+b", buffering=1 << 16) as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(path, file):
                yield file
                return


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def rewrite(path: Path, file: BinaryIO, lines: Iterable[bytes]) -> None:
    """Replace a locked file by these lines; `path` is no link. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            _keep_owner(file, out)
            shutil.copystat(path, name)
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(path)


def _keep_owner(file: BinaryIO, out: BinaryIO) -> None:
    wanted, found = os.fstat(file.fileno()), os.fstat(out.fileno())
    if (wanted.st_uid, wanted.st_gid) != (found.st_uid, found.st_gid):
        os.fchown(out.fileno(), wanted.st_uid, wanted.st_gid)


def sync_folder(path: Path) -> None:
    """Make a file's name durable. Raises OSError."""
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
