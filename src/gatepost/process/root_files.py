"""Certificates and keys that root can read and the user of the workers cannot.

Theory of operation: `read_root_files` reads all of them while the supervisor is root. After
privileges are dropped, `RootFiles.for_workers` returns those that the user cannot read, and each
worker receives them with its arguments. They do not change until the next start. The workers read
all other files themselves, and watch them for changes.

Security: the user of the workers gets the contents. A file is therefore read here only if no user
but root could have put it in place. Otherwise a link could expose any secret of the system. The
contents stay in the memory of the supervisor and of its forks.
"""

import errno
import os
import stat
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from gatepost.config.schema import Config
from gatepost.model.secret import SecretBytes
from gatepost.net.tls import Contents, key_pairs, web_key_pairs
from gatepost.process.privileges import PrivilegesError

# A chain of certificates is a few KB.
MAX_SIZE = 1024 * 1024
# The limit of Linux for links in one path.
MAX_LINKS = 40


class RootFiles:
    """The contents that root has read, by path.

    `insecure` has the paths that were not read, with the file or folder that others can change.
    """

    def __init__(self, contents: Contents, insecure: Mapping[Path, Path]) -> None:
        self._contents = contents
        self._insecure = insecure

    def for_workers(self, config: Config) -> Contents:
        """Return the files that workers need and cannot read themselves.

        Raises `PrivilegesError` for a file that only root can read, but others can replace.
        """
        needed: dict[Path, bytes] = {}
        for pair in _pairs(config):
            if not all(os.access(path, os.R_OK) for path in pair):
                needed |= self._pair(pair)
        return needed

    def _pair(self, pair: tuple[Path, Path]) -> Contents:
        """Return both files or neither; the worker reports one that is missing."""
        for path in pair:
            if path in self._insecure:
                raise PrivilegesError(describe_replaceable(path, self._insecure[path]))
        found = {path: self._contents[path] for path in pair if path in self._contents}
        return found if len(found) == len(pair) else {}


def read_root_files(config: Config) -> RootFiles:
    """Read the files that only root can replace, if the configuration has a user to become."""
    contents: dict[Path, bytes] = {}
    insecure: dict[Path, Path] = {}
    for path in {one for pair in _pairs(config) for one in pair if config.server.user}:
        try:
            changeable = find_changeable(path)
            if changeable is None:
                contents[path] = _read(path)
            else:
                insecure[path] = changeable
        except OSError:
            continue  # the worker reports it
    return RootFiles(contents, insecure)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return SecretBytes(file.read(MAX_SIZE))


def _pairs(config: Config) -> Iterator[tuple[Path, Path]]:
    pairs = (*key_pairs(config), *web_key_pairs(config))
    return ((pair.path, pair.key) for pair in pairs)


def describe_replaceable(path: Path, changeable: Path) -> str:
    """Return why a file is not passed to the workers."""
    return (
        f"{path}: only root can read it, but others can replace it:"
        f" expected {changeable} to be owned by root and writable by root only"
    )


def find_changeable(
    path: Path,
    owners: Container[int] = frozenset({0}),
    groups: Container[int] = frozenset(),
) -> Path | None:
    """Return the file, link or folder on a path that users other than `owners` can change.

    `owners` are user ids, by default root's. `groups` are group ids that may have write access too.
    Returns None if there is none. Raises OSError for a file that does not exist.
    """
    for one in reversed(list(_visited(path))):
        status = one.lstat()
        if status.st_uid not in owners or _is_shared(status, groups):
            return one
    return None


def _visited(path: Path) -> Iterator[Path]:
    """Yield every folder, link and file that the system visits when it opens an absolute path.

    Raises OSError for a file that does not exist and for links in a circle.
    """
    current, links = Path("/"), 0
    names = list(reversed(path.parts[1:]))
    yield current
    while names:
        name = names.pop()
        one = current.parent if name == ".." else current / name
        yield one
        if not one.is_symlink():
            current = one
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = one.readlink()
        current = Path("/") if target.is_absolute() else current
        names += [name for name in reversed(target.parts) if name != "/"]


def _is_shared(status: os.stat_result, groups: Container[int]) -> bool:
    """Return whether others can write; in a sticky folder they cannot change root's files."""
    mode = status.st_mode
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return False
    return bool(mode & stat.S_IWOTH) or bool(mode & stat.S_IWGRP and status.st_gid not in groups)
