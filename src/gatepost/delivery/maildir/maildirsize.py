"""The file `maildirsize` of a Maildir: its quota and its usage.

The format is Maildir++'s (https://www.courier-mta.org/imap/README.maildirquota.html). The first
line is the definition, `1000000S,100C` for octets and messages. The sum of all other lines, each
`SIZE COUNT`, is the usage. A program that adds or removes a message appends a line, in one write
that the system puts at the end. So Courier, Dovecot and Gatepost share the file without a lock.

The file is not trusted: other programs can write it. Security: it is read only if it is a regular
file with one name, never through a symbolic link, and only MAX_OCTETS of it; opening it does not
block. A file in another format counts as missing.

Limits: on NFS, lines of several hosts may overwrite each other; the next count corrects that.
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
# Maildir++: a file of this size must be rewritten.
MAX_OCTETS = 5120

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Nothing there; a symbolic link; a socket, or a missing device.
_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV)

# 18 digits: the sum of a full file of them fits into the 64 bits of other programs.
_LIMIT = re.compile(rb"(\d{1,18})([SC])")
_LINES = re.compile(rb"(?:[ \t]*-?\d{1,18}[ \t]+-?\d{1,18}[ \t]*\n)+")


class QuotaLimits(NamedTuple):
    """The octets and messages that a Maildir may hold; 0 is no limit."""

    octets: int = 0
    messages: int = 0

    def definition(self) -> bytes:
        """Return the first line of the file, without its line end."""
        parts = ((b"%dS", self.octets), (b"%dC", self.messages))
        return b",".join(form % limit for form, limit in parts if limit)


class Usage(NamedTuple):
    """The octets and messages in a Maildir, or a change of them."""

    octets: int
    messages: int

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(self.octets + other.octets, self.messages + other.messages)

    def negative(self) -> "Usage":
        """Return the change that cancels this one."""
        return Usage(-self.octets, -self.messages)

    def within(self, limits: QuotaLimits) -> bool:
        """Return whether the usage is within the limits."""
        return all(used <= limit or not limit for used, limit in zip(self, limits, strict=True))

    def line(self) -> bytes:
        """Return the line for the file."""
        return b"%d %d\n" % self


class UsageRecord(NamedTuple):
    """The content of a file: the definition, the sum of the lines and their number."""

    limits: QuotaLimits
    usage: Usage
    lines: int


class UsageLine(NamedTuple):
    """A line that was appended: the inode of the file, the offset of the line, the line."""

    inode: int
    start: int
    text: bytes


class UsageFile:
    """An open file: `found` are the octets read from it, `age` the seconds since its last change.

    Methods raise OSError.
    """

    def __init__(self, path: Path, descriptor: int, status: os.stat_result, found: bytes) -> None:
        self.path = path
        self.age = time.time() - status.st_mtime
        self._descriptor = descriptor
        self._inode = status.st_ino
        self._found = found

    @cached_property
    def record(self) -> UsageRecord | None:
        """The content when it was opened; None if it is not in the format."""
        return parse(self._found)

    def append(self, change: Usage) -> UsageLine:
        """Append a line and return it."""
        line = change.line()
        with naming(self.path):
            if os.write(self._descriptor, line) != len(line):
                # The file is not in the format now, so the next delivery counts again.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return UsageLine(self._inode, end - len(line), line)

    def before(self, line: UsageLine) -> UsageRecord | None:
        """Return the content in front of a line that was appended here, by any program."""
        if line.start == len(self._found):
            return self.record
        return parse(os.pread(self._descriptor, min(line.start, MAX_OCTETS), 0))

    def contains(self, line: UsageLine) -> bool:
        """Return whether a line is still in its place; it is not after a rewrite of the file."""
        if line.inode != self._inode:
            return False
        return os.pread(self._descriptor, len(line.text), line.start) == line.text


def parse(content: bytes) -> UsageRecord | None:
    """Return the content of a file; None if it is not in the format."""
    definition, _, lines = content.partition(b"\n")
    limits = _parse_definition(definition)
    if len(content) >= MAX_OCTETS or limits is None or not _LINES.fullmatch(lines):
        return None
    numbers = list(map(int, lines.split()))
    usage = Usage(sum(numbers[::2]), sum(numbers[1::2]))
    return UsageRecord(limits, usage, lines.count(b"\n")) if min(usage) >= 0 else None


def _parse_definition(definition: bytes) -> QuotaLimits | None:
    matches = [_LIMIT.fullmatch(part.strip()) for part in definition.split(b",")]
    found = {match[2]: int(match[1]) for match in matches if match}
    if len(found) < len(matches):
        return None
    return QuotaLimits(found.get(b"S", 0), found.get(b"C", 0))


@contextmanager
def opened(path: Path) -> Iterator[UsageFile | None]:
    """Open a file for the `with` block; None if there is no usable file. Raise OSError."""
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
def rewritten(path: Path, draft: Path, limits: QuotaLimits, usage: Usage) -> Iterator[UsageFile]:
    """Replace the file, and keep it open for the `with` block. Raise OSError.

    `draft` is a free name on the same file system. Nothing is fsynced: a file damaged by a power
    cut is not in the format, so the next delivery counts again.
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
