"""Files that come into place together: written in tmp/, then moved to new/, or taken back.

Knows the three steps and nothing of recipients or messages. Raises OSError, always with the path
it is about; after one, `take_back` is the only step left.
"""

import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gatepost.delivery.durable import naming, sync_folder

FILE_MODE = 0o600


class Copies:
    """The files of one delivery; `write` each, then `move` all."""

    def __init__(self) -> None:
        self._written: deque[Path] = deque()
        self._moved: list[Path] = []

    def write(self, path: Path, pieces: Iterable[bytes]) -> int:
        """Write and fsync a file that is not there yet; returns its size in octets."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        self._written.append(path)
        with naming(path), os.fdopen(descriptor, "wb") as file:
            size = sum(map(file.write, pieces))
            file.flush()
            os.fsync(descriptor)
        return size

    def move(self) -> None:
        """Move every file from tmp/ to the new/ beside it, then fsync the new/ folders."""
        while self._written:
            path = self._written[0]
            place = path.parent.parent / "new" / path.name
            path.rename(place)
            self._moved.append(place)
            self._written.popleft()
        for place in self._moved:
            sync_folder(place.parent)

    def take_back(self) -> list[str]:
        """Remove every file, wherever it is now; returns what stood in the way, if anything."""
        problems = [
            problem for path in (*self._written, *self._moved) if (problem := _remove(path))
        ]
        for place in self._moved:
            with suppress(OSError):  # the reason for taking back may be just this
                sync_folder(place.parent)
        return problems


def _remove(path: Path) -> str:
    try:
        path.unlink()
    except OSError as error:
        return f"not taken back: {error}"
    return ""
