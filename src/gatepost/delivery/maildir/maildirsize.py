"""The file `maildirsize` of a Maildir: how much it may hold, and how much it does.

The format is Maildir++'s (https://www.courier-mta.org/imap/README.maildirquota.html). The first
line is the definition, `1000000S,100C` for octets and messages; the sum of all others, `SIZE COUNT`
each, is what the Maildir holds. Whoever adds or removes a message appends a line, in one write that
the system puts at the end: so Courier, Dovecot and we share it without a lock.

Trusts nothing: the file may be anybody's work. Security: it is read only if it is a file with one
name, never through a symbolic link, and no more than MAX_OCTETS of it; opening it waits for
nothing. What is not in the format counts as no file at all.

Limits: on NFS, lines of several hosts may overwrite each other; the next count sets it right.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gatepost.disk.durable import FILE_MODE, naming

NAME = "maildirsize"
# Maildir++: a file of this size is to be written anew.
MAX_OCTETS = 5120

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Nothing there; a symbolic link; a socket, or a device that is not there.
_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV)

# 18 digits: the sum of a whole file of those is within the 64 bits that other programs have.
_LIMIT = re.compile(rb"(\d{1,18})([SC])")
_LINES = re.compile(rb"(?:[ \t]*-?\d{1,18}[ \t]+-?\d{1,18}[ \t]*\n)+")


class Limits(NamedTuple):
    """How much a Maildir may hold, in octets and in messages; 0 is no limit."""

    octets: int = 0
    messages: int = 0

    def definition(self) -> bytes:
        """Return the first line, without its end."""
        parts = ((b"%dS", self.octets), (b"%dC", self.messages))
        return b",".join(form % limit for form, limit in parts if limit)


class Usage(NamedTuple):
    """How much a Maildir holds, or how much more or less it is to hold."""

    octets: int
    messages: int

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(self.octets + other.octets, self.messages + other.messages)

    def negative(self) -> "Usage":
        """Return what takes this away again."""
        return Usage(-self.octets, -self.messages)

    def within(self, limits: Limits) -> bool:
        """Return whether it is not too much."""
        return all(used <= limit or not limit for used, limit in zip(self, limits, strict=True))

    def line(self) -> bytes:
        """Return the line that says so."""
        return b"%d %d\n" % self


class Contents(NamedTuple):
    """What a file says: the sum of its lines, and how many they are."""

    limits: Limits
    usage: Usage
    lines: int


class Entry(NamedTuple):
    """A line that was appended: the inode of the file, where in it the line begins, the line."""

    inode: int
    start: int
    line: bytes


class UsageFile:
    """A file that is open: `path`, the octets `found` in it then, `age` the seconds since.

    Methods raise OSError.
    """

    def __init__(self, path: Path, descriptor: int, status: os.stat_result, found: bytes) -> None:
        self.path = path
        self.age = time.time() - status.st_mtime
        self._descriptor = descriptor
        self._inode = status.st_ino
        self._found = found

    @cached_property
    def contents(self) -> Contents | None:
        """What it said; None where it was of no use."""
        return parse(self._found)

    def append(self, change: Usage) -> Entry:
        """Append a line."""
        line = change.line()
        with naming(self.path):
            if os.write(self._descriptor, line) != len(line):
                # What is there now is not in the format: whoever comes next counts anew.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return Entry(self._inode, end - len(line), line)

    def before(self, entry: Entry) -> Contents | None:
        """Return what stands before a line that was appended here, whoever wrote it."""
        if entry.start == len(self._found):
            return self.contents
        return parse(os.pread(self._descriptor, min(entry.start, MAX_OCTETS), 0))

    def holds(self, entry: Entry) -> bool:
        """Return whether a line is still where it was; it is not once the file is written anew."""
        if entry.inode != self._inode:
            return False
        return os.pread(self._descriptor, len(entry.line), entry.start) == entry.line


def parse(content: bytes) -> Contents | None:
    """Return what a file's whole content says; None where it is of no use."""
    definition, _, lines = content.partition(b"\n")
    limits = _parse_definition(definition)
    if len(content) >= MAX_OCTETS or limits is None or not _LINES.fullmatch(lines):
        return None
    numbers = list(map(int, lines.split()))
    usage = Usage(sum(numbers[::2]), sum(numbers[1::2]))
    return Contents(limits, usage, lines.count(b"\n")) if min(usage) >= 0 else None


def _parse_definition(definition: bytes) -> Limits | None:
    matches = [_LIMIT.fullmatch(part.strip()) for part in definition.split(b",")]
    found = {match[2]: int(match[1]) for match in matches if match}
    if len(found) < len(matches):
        return None
    return Limits(found.get(b"S", 0), found.get(b"C", 0))


@contextmanager
def opened(path: Path) -> Iterator[UsageFile | None]:
    """Open a file for as long as the `with`; None where none may be used. Raises OSError."""
    descriptor = _open(path)
    if descriptor is None:
        yield None
        return
    try:
        yield _read(path, descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, _FLAGS)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
    return None


def _read(path: Path, descriptor: int) -> UsageFile | None:
    with naming(path):
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return None
        return UsageFile(path, descriptor, status, os.pread(descriptor, MAX_OCTETS, 0))


@contextmanager
def written(path: Path, draft: Path, limits: Limits, usage: Usage) -> Iterator[UsageFile]:
    """Write the file anew, and have it open for as long as the `with`. Raises OSError.

    `draft` is a free name on the same file system. Nothing is fsynced: what a power cut leaves half
    done is of no use, and counted anew.
    """
    content = limits.definition() + b"\n" + usage.line()
    descriptor = os.open(draft, _FLAGS | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        try:
            with naming(draft):
                os.write(descriptor, content)
                status = os.fstat(descriptor)
            draft.rename(path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        yield UsageFile(path, descriptor, status, content)
    finally:
        os.close(descriptor)
