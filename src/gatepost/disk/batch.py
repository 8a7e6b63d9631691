"""Files that come into place together: written, then moved where they belong, or taken back.

Knows the three steps and nothing of recipients or messages. Raises OSError, always with the path
it is about; after one, `take_back` is the only step left. What was reserved for the files goes the
same way as they do.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gatepost.disk.durable import FILE_MODE, naming, sync_folder


class Room(Protocol):
    """Something that was reserved for a file."""

    def keep(self) -> None:
        """Note that the file is in its place; raises nothing."""

    def release(self) -> None:
        """Give it back; raises OSError."""


class Copies:
    """The files of one delivery; `write` each, then `move` all."""

    def __init__(self) -> None:
        self._rooms: list[Room] = []
        self._written: deque[tuple[Path, Path]] = deque()
        self._moved: list[Path] = []

    def reserved(self, room: Room) -> None:
        """Answer for what was reserved for a file: it is kept or released as the file is."""
        self._rooms.append(room)

    def write(self, path: Path, pieces: Iterable[bytes], place: Path) -> int:
        """Write and fsync a file that is not there yet; returns its size in octets.

        It is to be moved to `place`, on the same file system; `path` itself has it stay.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        self._written.append((path, place))
        with naming(path), os.fdopen(descriptor, "wb") as file:
            size = sum(map(file.write, pieces))
            file.flush()
            os.fsync(descriptor)
        return size

    def move(self) -> None:
        """Move every file to its place, then fsync the folders there."""
        while self._written:
            path, place = self._written[0]
            if path != place:
                path.rename(place)
            self._moved.append(place)
            self._written.popleft()
        for folder in dict.fromkeys(place.parent for place in self._moved):
            sync_folder(folder)
        for room in self._rooms:
            room.keep()

    def take_back(self) -> list[str]:
        """Remove every file, wherever it is now; returns what stood in the way, if anything."""
        paths = (*(path for path, _ in self._written), *self._moved)
        steps = (*(path.unlink for path in paths), *(room.release for room in self._rooms))
        problems = [problem for step in steps if (problem := _problem(step))]
        for place in self._moved:
            with suppress(OSError):  # the reason for taking back may be just this
                sync_folder(place.parent)
        return problems


def _problem(step: Callable[[], None]) -> str:
    try:
        step()
    except OSError as error:
        return f"not taken back: {error}"
    return ""
