"""Files that appear together: written first, then moved into place, or all of them removed.

The module handles the three steps only, not recipients or messages. Errors are OSErrors that name
the path. After an error, `remove_all` is the only step left. Reservations for the files, such as
quota, are kept or released together with them.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gatepost.disk.durable import FILE_MODE, naming, sync_folder


class FileReservation(Protocol):
    """A resource that was reserved for a file, such as quota."""

    def keep(self) -> None:
        """Make the reservation permanent, as the file is in place; must not raise."""

    def release(self) -> None:
        """Give the reservation back; raises OSError."""


class FileBatch:
    """The files of one delivery: `write` each, then `move` all."""

    def __init__(self) -> None:
        self._reservations: list[FileReservation] = []
        self._written: deque[tuple[Path, Path]] = deque()
        self._moved: list[Path] = []

    def add_reservation(self, reservation: FileReservation) -> None:
        """Keep or release a reservation together with the files."""
        self._reservations.append(reservation)

    def write(self, path: Path, pieces: Iterable[bytes], destination: Path) -> int:
        """Write and fsync a new file; return its size in octets.

        `move` will move it to `destination` on the same file system. If that is `path` itself, the
        file stays.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        self._written.append((path, destination))
        with naming(path), os.fdopen(descriptor, "wb") as file:
            size = sum(map(file.write, pieces))
            file.flush()
            os.fsync(descriptor)
        return size

    def move(self) -> None:
        """Move all files to their destinations, then fsync the folders there."""
        while self._written:
            path, destination = self._written[0]
            if path != destination:
                path.rename(destination)
            self._moved.append(destination)
            self._written.popleft()
        for folder in dict.fromkeys(destination.parent for destination in self._moved):
            sync_folder(folder)
        for reservation in self._reservations:
            reservation.keep()

    def remove_all(self) -> list[str]:
        """Remove all files, moved or not, and release reservations; return the errors."""
        paths = (*(path for path, _ in self._written), *self._moved)
        steps = (*(path.unlink for path in paths), *(one.release for one in self._reservations))
        problems = [problem for step in steps if (problem := _problem(step))]
        for destination in self._moved:
            with suppress(OSError):  # perhaps the very reason for the removal
                sync_folder(destination.parent)
        return problems


def _problem(step: Callable[[], None]) -> str:
    try:
        step()
    except OSError as error:
        return f"not removed: {error}"
    return ""
