"""The files of the store: numbered generations in one folder, of which the highest is in use.

A damaged file is renamed, and its successor gets the next number. It never gets the same name:
a worker that still has the old file open removes the WAL *by its path* when it closes the file.

All workers of a machine open and replace files under a lock on the folder. The system releases it
however a worker ends.

Trusts: the folder, which only the server's user can enter. Limits: KEPT damaged files.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gatepost.disk.durable import FILE_MODE, ensure_private

KEPT = 1
COMPANIONS = ("", "-wal", "-shm")

_NAME = re.compile(r"([1-9][0-9]{0,8})\.db(\.damaged)?")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder, which is created if necessary. Raises OSError."""
    descriptor = os.open(ensure_private(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def current(folder: Path) -> Path:
    """Return the path of the file in use, or of the next one. Raises OSError."""
    number, is_damaged = max(_numbers(folder), default=(0, True))
    return folder / f"{number + is_damaged}.db"


def create(path: Path) -> None:
    """Create an empty file unless it exists; SQLite gives its other files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def set_aside(path: Path) -> Path:
    """Rename a damaged file and return its new path. Call it with the lock. Raises OSError."""
    damaged = path.with_name(f"{path.name}.damaged")
    for ending in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(damaged.with_name(damaged.name + ending))
    _remove_old(path.parent)
    return damaged


def _remove_old(folder: Path) -> None:
    numbers = sorted(number for number, is_damaged in _numbers(folder) if is_damaged)
    for number in numbers[:-KEPT]:
        for ending in COMPANIONS:
            (folder / f"{number}.db.damaged{ending}").unlink(missing_ok=True)


def _numbers(folder: Path) -> list[tuple[int, bool]]:
    found = filter(None, (_NAME.fullmatch(path.name) for path in folder.iterdir()))
    return [(int(match[1]), match[2] is not None) for match in found]
