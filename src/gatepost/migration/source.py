"""The folder of another server: its files, opened and read with care.

A server reads a file from the first of its folders that has it. Files are UTF-8 text, one value a
line; comments and blank lines are dropped. With `includes`, `$include FILE` is replaced by the
lines of the file, or of the files of a folder, as qpsmtpd does.

Security: the folder can belong to another user, and the command often runs as root. A link or an
include that leads out of the folders is not read unless `follow` is set, and only regular files
are opened, without waiting for a pipe. A line that is not read is a finding, never an error.

Limits: MAX_LINE octets in a line, MOST_VALUES lines where all are kept, MOST_INCLUDES files that
include each other.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gatepost.lists.entry import LineError, check_text, decode_line
from gatepost.lists.text import read_lines
from gatepost.log.printable import printable
from gatepost.migration.findings import Findings

MOST_VALUES = 10_000
MOST_INCLUDES = 20
_HEAD = 8192
_INCLUDE = "$include"


class Line(NamedTuple):
    """A line without blanks at its ends, with its file and number."""

    text: str
    file: str
    number: int

    @property
    def place(self) -> str:
        """The file and the number."""
        return f"{self.file}:{self.number}"


class Source:
    """The files of a server. `folders` are searched in this order; `root` contains the first."""

    def __init__(
        self,
        root: Path,
        folders: Sequence[Path],
        findings: Findings,
        *,
        comments: str = "#",
        includes: bool = False,
        follow: bool = False,
    ) -> None:
        self.root = root
        self.folders = folders
        self.findings = findings
        self.paths: list[Path] = []
        self._comments = tuple(comments)
        self._includes = includes
        self._follow = follow
        self._inside = [Path(os.path.realpath(one)) for one in (root, *folders)]

    def has(self, name: str) -> bool:
        """Return whether a file can be read."""
        return self.find(name) is not None

    def find(self, name: str) -> Path | None:
        """Return the path of a file, None if there is none or it must not be read."""
        path = self._existing(name)
        return path if path is not None and self._may_read(path) else None

    def _existing(self, name: str) -> Path | None:
        paths = (folder / name for folder in self.folders)
        return next(filter(os.path.lexists, paths), None)

    def shown(self, path: Path) -> str:
        """Return a path as findings show it: relative to the root if it is in it."""
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return printable(str(shown))

    def place(self, name: str) -> str:
        """Return a file as findings show it, whether it exists or not."""
        return self.shown(self._existing(name) or self.folders[0] / name)

    def value(self, name: str) -> Line | None:
        """Return the first line of a file, None without one."""
        return next(self.lines(name), None)

    def values(self, name: str) -> list[Line]:
        """Return the lines of a file; more than MOST_VALUES are a finding."""
        found = list(islice(self.lines(name), MOST_VALUES + 1))
        if len(found) > MOST_VALUES:
            text = f"only the first {MOST_VALUES} lines were read"
            self.findings.left(self.place(name), text)
        return found[:MOST_VALUES]

    def lines(self, name: str) -> Iterator[Line]:
        """Yield the lines of a file, one at a time; nothing without the file."""
        path = self.find(name)
        if path is not None:
            yield from self.lines_of(path)

    def lines_of(self, path: Path, includers: tuple[Path, ...] = ()) -> Iterator[Line]:
        """Yield the lines of a file, and those of the files that it includes."""
        for line in self._raw(path):
            words = line.text.split()
            if self._includes and words[0] == _INCLUDE and len(words) == 2:
                yield from self._included(words[1], line, (*includers, path))
            else:
                yield line

    def _included(self, name: str, line: Line, includers: tuple[Path, ...]) -> Iterator[Line]:
        path = Path(name) if name.startswith("/") else self._existing(name)
        if path is None or not os.path.lexists(path):
            self.findings.left(line.place, f"no file {printable(name)} to include")
        elif path in includers or len(includers) >= MOST_INCLUDES:
            self.findings.left(line.place, f"{printable(name)} includes itself")
        elif self._may_read(path):
            for one in sorted(path.iterdir()) if path.is_dir() else [path]:
                if not one.name.startswith(".") and self._may_read(one):
                    yield from self.lines_of(one, includers)

    def _may_read(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        if self._follow or any(real.is_relative_to(one) for one in self._inside):
            return True
        text = f"leads to {printable(str(real))}, outside of the folder; --follow reads it"
        self.findings.left(self.shown(path), text)
        return False

    def _raw(self, path: Path) -> Iterator[Line]:
        """Yield the lines of one file, without comments and blank lines."""
        try:
            file = open_regular(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.findings.left(self.shown(path), f"cannot be read: {reason}")
            return
        if path not in self.paths:
            self.paths.append(path)
        with file:
            yield from self._decoded(file, self.shown(path))

    def _decoded(self, file: BinaryIO, name: str) -> Iterator[Line]:
        for number, raw in enumerate(read_lines(file), start=1):
            try:
                text = check_text(decode_line(raw, name, number).strip())
            except LineError as error:
                self.findings.bad_line(name, number, f"expected {error.expected}")
                continue
            except ValueError as error:
                self.findings.bad_line(name, number, f"expected {error}")
                continue
            if text and not text.startswith(self._comments):
                yield Line(text, name, number)


def open_regular(path: Path, *, text: bool = True) -> BinaryIO:
    """Open a regular file; raises OSError, or ValueError for another kind of file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    problem = _problem(file, text=text)
    if problem:
        file.close()
        raise ValueError(problem)
    return file


def _problem(file: BufferedReader, *, text: bool) -> str:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return "expected a regular file"
    if text and b"\0" in file.peek(_HEAD)[:_HEAD]:
        return "expected text, found binary data"
    return ""
