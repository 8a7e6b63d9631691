"""Files of the configuration that other users of this system can change.

The configuration, its lists and its plugins decide which code runs and which mail comes in. Each
must be writable only by root, the user of the server, and the owner of the file, and so must every
folder above it.

Limits: access lists are ignored. A group with the name of a user and no other member counts as
that user, because many systems give each user such a group with write access.
"""

import grp
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gatepost.config.schema import Config
from gatepost.process.root_files import find_changeable
from gatepost.tables.registry import path_of

# Files that are named in the report of a folder; the others are counted.
MAX_NAMED = 3


class InsecureFiles(msgspec.Struct, frozen=True):
    """A file or folder that other users can change, and the files of the configuration below it."""

    changeable: Path
    files: list[Path]

    def __str__(self) -> str:
        named = ", ".join(map(str, self.files[:MAX_NAMED]))
        more = len(self.files) - MAX_NAMED
        files = f"{named} and {more} more" if more > 0 else named
        return (
            f"other users can change {files}: expected {self.changeable} to be writable only by"
            " root, the user of the server and its owner"
        )


def deciding_files(config: Config, file: Path) -> Iterator[Path]:
    """Yield the configuration file, its lists, users file, and the files of plugins."""
    yield file.absolute()
    for _, files in (config.sources(config.recipients.domains), config.known_sources):
        yield from files
    yield from filter(None, (path_of(one, config) for one in config.recipients.known))
    yield from (config.path(name) for name in config.traps.lists)
    if config.auth.users:
        yield config.path(config.auth.users)
    yield from (path for one in config.plugin for path in _source_files(one.use, config.base))


def _source_files(use: str, base: Path) -> list[Path]:
    """Return the files of a plugin that is a file or a folder; none for an installed one."""
    if use.endswith(".py"):
        return [base / use]
    return sorted((base / use).rglob("*.py")) if "/" in use else []


def insecure_files(config: Config, file: Path, uid: int) -> list[InsecureFiles]:
    """Return what other users can change, for a server that runs with this user id."""
    found: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(deciding_files(config, file)):
        changeable = changeable_by_others(path, uid)
        if changeable is not None:
            found.setdefault(changeable, []).append(path)
    return [InsecureFiles(*item) for item in found.items()]


def changeable_by_others(path: Path, uid: int) -> Path | None:
    """Return the first part of a path that others than root, `uid` and its owner can change.

    A file that is missing or not accessible is reported elsewhere: the result is None.
    """
    try:
        owners = (0, uid, path.stat().st_uid)
        return find_changeable(path.absolute(), owners, private_groups(owners))
    except OSError:
        return None


def private_groups(uids: Iterable[int]) -> frozenset[int]:
    """Return the groups that have the name of one of these users, and no other member."""
    return frozenset(group for uid in uids for group in _private_group(uid))


def _private_group(uid: int) -> Iterator[int]:
    try:
        user = pwd.getpwuid(uid)
        group = grp.getgrgid(user.pw_gid)
    except KeyError:
        return
    if group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}:
        yield group.gr_gid
