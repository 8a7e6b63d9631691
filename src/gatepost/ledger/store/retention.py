"""Retention: which files of the ledger are removed.

A file goes when its last commit is older than `keep`, and the oldest files go while all together
have more than `size` octets. The newest file never goes: it is written, or will be.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from gatepost.ledger.store import files
from gatepost.ledger.store.files import File
from gatepost.ledger.store.segment import connect


class Retention:
    """Removes files from a folder; `keep` is in seconds, `size` in octets."""

    def __init__(self, path: Path, keep: float, size: int) -> None:
        self._path = path
        self._keep = keep
        self._size = size
        # The last commit of each file that is not written any more.
        self._written: dict[Path, float] = {}

    def apply(self, now: float) -> list[Path]:
        """Remove files; return their paths. Raises OSError."""
        found = files.listed(self._path)
        if not found:
            return []
        *others, current = found
        # Files that are gone need no place here.
        self._written = {file.path: self._written_at(file) for file in others}
        expired = [path for path, at in self._written.items() if at < now - self._keep]
        kept = [path for path, at in self._written.items() if at >= now - self._keep]
        removed = expired + self._over_size(kept, files.size_of(current.path))
        for path in removed:
            files.remove(path)
        return removed

    def _over_size(self, kept: list[Path], used: int) -> list[Path]:
        sizes = [files.size_of(path) for path in kept]
        total = sum(sizes) + used
        removed = []
        for path, size in zip(kept, sizes, strict=True):
            if total <= self._size:
                break
            total -= size
            removed.append(path)
        return removed

    def _written_at(self, file: File) -> float:
        found = self._written.get(file.path)
        return _written_at(file) if found is None else found


def _written_at(file: File) -> float:
    """Return the time of the last commit, or of the last change of a file that is unreadable."""
    if file.is_segment:
        try:
            with closing(connect(file.path, "ro")) as connection:
                return float(connection.execute("SELECT written FROM meta").fetchone()[0])
        except (sqlite3.Error, TypeError):
            pass
    return file.path.stat().st_mtime
