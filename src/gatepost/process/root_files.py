"""Certificates and keys that root may read and the user of the workers may not.

Theory of operation: `hold` reads all of them while the supervisor is root. After privileges are
dropped, `RootFiles.for_workers` returns those that the user cannot read. They travel to each worker
with its orders. These do not change until the next start. The workers read all others themselves,
and watch them for changes.

Security: what is held gets into the hands of that user. So nothing is held that the user, or
anybody else but root, could have put in place of the file: else a link to any secret of the system
would do. It stays in memory, of the supervisor and of the workers that need it.
"""

import os
import stat
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from gatepost.config.schema import Config
from gatepost.net.tls import Contents, key_pairs
from gatepost.process.privileges import PrivilegesError

# A chain of certificates is a few KB.
MAX_SIZE = 1024 * 1024


class RootFiles:
    """What root has read, by file; `open_to_others` says of the rest what is too open."""

    def __init__(self, contents: Contents, open_to_others: Mapping[Path, Path]) -> None:
        self._contents = contents
        self._open_to_others = open_to_others

    def for_workers(self, config: Config) -> Contents:
        """Return what workers need and cannot read themselves.

        Raises `PrivilegesError` for a file that only root can read, but others can replace.
        """
        needed: dict[Path, bytes] = {}
        for pair in _pairs(config):
            if not all(os.access(path, os.R_OK) for path in pair):
                needed |= self._pair(pair)
        return needed

    def _pair(self, pair: tuple[Path, Path]) -> Contents:
        """Return both or nothing: what is missing is the worker's to tell."""
        for path in pair:
            if path in self._open_to_others:
                raise PrivilegesError(problem(path, self._open_to_others[path]))
        found = {path: self._contents[path] for path in pair if path in self._contents}
        return found if len(found) == len(pair) else {}


def hold(config: Config) -> RootFiles:
    """Read what there is and only root could have put there, if there is a user to become."""
    contents: dict[Path, bytes] = {}
    open_to_others: dict[Path, Path] = {}
    for path in {one for pair in _pairs(config) for one in pair if config.server.user}:
        try:
            by = loose(path)
            if by is None:
                contents[path] = _read(path)
            else:
                open_to_others[path] = by
        except OSError:
            continue  # it is the worker who says so
    return RootFiles(contents, open_to_others)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SIZE)


def _pairs(config: Config) -> Iterator[tuple[Path, Path]]:
    return ((pair.path, pair.key) for pair in key_pairs(config))


def problem(path: Path, by: Path) -> str:
    """Say why a file is not handed on, `by` being what is too open on the way to it."""
    return (
        f"{path}: only root can read it, but others can replace it: expected {by} to be root's"
        " and writable by nobody else"
    )


def loose(path: Path, owners: Container[int] = frozenset({0})) -> Path | None:
    """Return what, on the way to a file, others than `owners` could change; None if nothing.

    They are user ids, by default root's. Raises OSError for a file that is not there.
    """
    real = Path(os.path.realpath(path))
    for one in (path, *path.parents, real, *real.parents):
        status = one.lstat()
        if status.st_uid not in owners or _is_shared(status.st_mode):
            return one
    return None


def _is_shared(mode: int) -> bool:
    """Whether others may write; in a sticky folder they cannot touch what is root's."""
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return False
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH))
