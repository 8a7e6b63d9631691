"""Counts the messages and octets in a Maildir, file by file, as Maildir++ defines it.

All messages in `new` and `cur` count, also those of the Maildir's folders. The folder `.Trash` and
messages marked as deleted (flag T) do not. The size comes from the name (`,S=1234`) if it is there.

Limits: the work grows with the number of messages and folders. Changes during the count may be
missed; `change_times` shows them, as precisely as the file system's clock.

Security: symbolic links below the Maildir are not followed, so no other folder is counted.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from gatepost.delivery.maildir.maildirsize import Usage

UNCOUNTED = ".Trash"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Nothing there; not a folder; a symbolic link.
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_SIZE = re.compile(r",S=(\d{1,18})(?![^,:])")
_DELETED = re.compile(r":2,[A-Z]*T")


def count_usage(root: Path) -> Usage:
    """Return the usage of the Maildir `root`; raise OSError."""
    octets = messages = 0
    for folder in _message_folders(root):
        for size in _sizes(folder):
            octets += size
            messages += 1
    return Usage(octets, messages)


def change_times(root: Path) -> list[int]:
    """Return when each folder of messages last changed; raise OSError."""
    return [os.fstat(folder).st_mtime_ns for folder in _message_folders(root)]


def _message_folders(root: Path) -> Iterator[int]:
    """Yield the open descriptor of each folder with messages that count."""
    top = os.open(root, _FOLDER)
    try:
        for name in (".", *_folders(top)):
            for folder in _opened(name, top):
                for subfolder in ("new", "cur"):
                    yield from _opened(subfolder, folder)
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
    """Yield the descriptor of a folder, nothing if there is no such folder."""
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


def _sizes(folder: int) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or _DELETED.search(entry.name):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    yield _size(entry)
            except FileNotFoundError:  # moved by a reader
                continue


def _size(entry: "os.DirEntry[str]") -> int:
    match = _SIZE.search(entry.name)
    return int(match[1]) if match else entry.stat(follow_symlinks=False).st_size
