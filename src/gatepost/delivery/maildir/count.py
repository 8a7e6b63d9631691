"""How much a Maildir holds, counted file by file as Maildir++ has it.

All messages in `new` and `cur` count, those of its folders too; the folder `.Trash` and what is
marked as deleted (the flag T) do not. A size is taken from the name (`,S=1234`) where it is there.

Limits: the work grows with the number of messages and folders. What changes while it is counted
may be missed; `stamps` tell, as finely as the file system's clock ticks.

Security: no symbolic link below the Maildir is followed, so nobody has other folders counted.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from gatepost.delivery.maildir.maildirsize import Usage

UNCOUNTED = ".Trash"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Nothing there; no folder; a symbolic link.
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_SIZE = re.compile(r",S=(\d{1,18})(?![^,:])")
_DELETED = re.compile(r":2,[A-Z]*T")


def tally(root: Path) -> Usage:
    """Count what is in the Maildir `root`; raises OSError."""
    octets = messages = 0
    for place in _places(root):
        for size in _sizes(place):
            octets += size
            messages += 1
    return Usage(octets, messages)


def stamps(root: Path) -> list[int]:
    """Return when each place of messages last changed; raises OSError."""
    return [os.fstat(place).st_mtime_ns for place in _places(root)]


def _places(root: Path) -> Iterator[int]:
    """Yield the open descriptor of each folder that has messages which count."""
    top = os.open(root, _FOLDER)
    try:
        for name in (".", *_folders(top)):
            for folder in _opened(name, top):
                for place in ("new", "cur"):
                    yield from _opened(place, folder)
    finally:
        os.close(top)


def _folders(top: int) -> list[str]:
    with os.scandir(top) as entries:
        return [
            entry.name
            for entry in entries
            if entry.name.startswith(".")
            and entry.name != UNCOUNTED
            and entry.is_dir(follow_symlinks=False)
        ]


def _opened(name: str, parent: int) -> Iterator[int]:
    """Yield the descriptor of a folder, nothing where there is none."""
    try:
        descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sizes(place: int) -> Iterator[int]:
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(".") or _DELETED.search(entry.name):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    yield _size(entry)
            except FileNotFoundError:  # a reader was faster
                continue


def _size(entry: "os.DirEntry[str]") -> int:
    said = _SIZE.search(entry.name)
    return int(said[1]) if said else entry.stat(follow_symlinks=False).st_size
