"""The folder of the ledger: names of segments, the lock of the writer, corrupt files.

Segment N is `NNNNNNNN.sqlite`, with N in eight digits; higher numbers are newer. A number is never
used again, also not that of a corrupt segment, which is renamed to `NNNNNNNN.corrupt-TIME`.

Trusts: the folder, which only the server's user can enter.
"""

import fcntl
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gatepost.disk.durable import FILE_MODE, ensure_private
from gatepost.ledger.store.errors import LedgerError
from gatepost.log.os_error import describe_os_error

COMPANIONS = ("-wal", "-shm", "-journal")
_NAME = re.compile(r"([0-9]{8})\.(?:(sqlite)|corrupt-[0-9TZ]+)")


class File(NamedTuple):
    """A segment, or a corrupt one."""

    number: int
    path: Path
    is_segment: bool


def lock(folder: Path) -> int:
    """Create the folder and lock it for this writer; return the descriptor that has the lock.

    The system releases the lock however the process ends. Raises `LedgerError`.
    """
    path = folder / "lock"
    try:
        ensure_private(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise LedgerError(f"ledger: {describe_os_error(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LedgerError(f"{path}: locked by another process that writes this ledger") from error
    return descriptor


def listed(folder: Path) -> list[File]:
    """Return the segments and corrupt segments, the oldest first. Raises OSError."""
    found = [match for path in os.listdir(folder) if (match := _NAME.fullmatch(path))]  # noqa: PTH208
    return sorted(File(int(one[1]), folder / one.string, one[2] is not None) for one in found)


def segments(folder: Path) -> list[File]:
    """Return the segments, the oldest first. Raises OSError."""
    return [file for file in listed(folder) if file.is_segment]


def create(folder: Path) -> Path:
    """Create the empty file of the next segment. Raises OSError."""
    number = max((file.number for file in listed(ensure_private(folder))), default=0) + 1
    path = folder / f"{number:08d}.sqlite"
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    return path


def set_aside(path: Path, now: float) -> Path:
    """Rename a corrupt segment with its companions; return the new path. Raises OSError."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    renamed = path.with_name(f"{path.stem}.corrupt-{moment}")
    path.rename(renamed)
    for ending in COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(renamed.with_name(renamed.name + ending))
    return renamed


def remove(path: Path) -> None:
    """Remove a segment with its companions. Raises OSError."""
    path.unlink(missing_ok=True)
    for ending in COMPANIONS:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def has_wal(path: Path) -> bool:
    """Return whether a segment has a WAL."""
    return os.path.exists(f"{path}-wal")  # noqa: PTH110 - half the time of Path.exists


def identity_of(path: Path) -> str:
    """Return what another file with this name would not have, "" without a file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def size_of(path: Path) -> int:
    """Return the octets of a segment with its companions."""
    total = 0
    for ending in ("", *COMPANIONS):
        with suppress(OSError):
            total += path.with_name(path.name + ending).stat().st_size
    return total
