"""Changing a file that a running server reads: locked, durable and atomic.

The new version is written next to the file and renamed. It keeps the owner, mode and extended
attributes of the old one. Two concurrent commands wait for each other, so that no change is lost.
"""

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def locked(path: Path, flags: int, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open and lock a file; if it was replaced during the wait, open the new file instead.

    `flags` are those of os.open. A file that has to be created gets `mode`. Raises OSError.
    """
    while True:
        descriptor = os.open(path, flags, mode)
        with os.fdopen(descriptor, "r+b", buffering=1 << 16) as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_current(path, file):
                yield file
                return


def _is_current(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def append_line(file: BinaryIO, line: bytes) -> None:
    """Append a line, given without its end, to a file opened with O_APPEND, and sync it.

    It is one write, and it starts on a line of its own. Raises OSError.
    """
    octets = (b"" if _ends_with_line_end(file) else b"\n") + line + b"\n"
    if os.write(file.fileno(), octets) < len(octets):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def _ends_with_line_end(file: BinaryIO) -> bool:
    size = os.fstat(file.fileno()).st_size
    return size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"


def rewrite(path: Path, file: BinaryIO, lines: Iterable[bytes]) -> None:
    """Replace a locked file with these lines; `path` must not be a link. Raises OSError."""
    import shutil  # noqa: PLC0415 - takes milliseconds
    import tempfile  # noqa: PLC0415 - likewise

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
    sync_entry(path)


def _keep_owner(file: BinaryIO, out: BinaryIO) -> None:
    expected, found = os.fstat(file.fileno()), os.fstat(out.fileno())
    if (expected.st_uid, expected.st_gid) != (found.st_uid, found.st_gid):
        os.fchown(out.fileno(), expected.st_uid, expected.st_gid)


def own_as_folder(file: BinaryIO, folder: Path) -> None:
    """Give a file of root to the owner of its folder: a server that is not root writes to it."""
    owner, found = folder.stat(), os.fstat(file.fileno())
    if os.geteuid() == 0 and found.st_uid != owner.st_uid:
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)


def sync_entry(path: Path) -> None:
    """Make the directory entry of a file durable. Raises OSError."""
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
