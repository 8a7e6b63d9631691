"""The output of the log: standard error, or a file that another program rotates.

Theory of operation
-------------------
Each process opens the file itself. With a line, at most once a second, it compares the file at the
path with the open one, and opens the new one after a rotation. The descriptor of the file keeps its
number and is never closed, so a thread that writes at this moment writes to one of the two files.

If the file cannot be opened or written, its lines go to standard error until it can. Once for each
outage, a line there has the reason.

Security: the file is opened with the rights of the server's user, after root's were dropped. A
named pipe that nothing reads does not block: it is a file that cannot be opened or written.

Limits: the beginning of a line for which the disk had no room stays in the file, as a line. A line
that cannot be written to standard error is dropped: no other place is left, and mail is more
important.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gatepost.log.os_error import describe_os_error

STANDARD_ERROR = 2
# Seconds between two looks at the path: a rotated file gets lines for at most this time.
INTERVAL = 1.0
# Read and write for the server's user, read for its group, such as that of a log collector.
MODE = 0o640

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY


class LogFileError(Exception):
    """A log file that cannot be opened; the text names the file and the reason."""


def probe(path: Path | None) -> None:
    """Open the file, creating it, and close it again. Raises `LogFileError`."""
    if path is None:
        return
    try:
        os.close(_open(path))
    except OSError as error:
        raise LogFileError(_problem(error)) from error


class Output:
    """The output of one process; `time` is a clock that is never set back."""

    __slots__ = ("_descriptor", "_due", "_failed", "_file", "_path", "_time", "_torn")

    def __init__(self, time: Callable[[], float] = time.monotonic) -> None:
        self._time = time
        self._path: Path | None = None
        self._descriptor = STANDARD_ERROR
        self._file = -1  # the number of the descriptor of files, once there was one
        self._due = 0.0
        self._failed = self._torn = False

    def use(self, path: Path | None) -> None:
        """Write to this file from now on, None for standard error."""
        self._path = path
        self._descriptor = STANDARD_ERROR
        self.reopen()

    def detach(self) -> None:
        """Write to standard error, and do not use the number of the descriptor again."""
        self._path = None
        self._descriptor = STANDARD_ERROR
        self._file = -1

    def reopen(self) -> None:
        """Open the file again, whether or not it was rotated."""
        if self._path is None:
            return
        self._due = self._time() + INTERVAL
        try:
            self._adopt(_open(self._path))
        except OSError as error:
            self._descriptor = STANDARD_ERROR
            self._report(error)

    def _adopt(self, new: int) -> None:
        if self._file < 0:
            self._file = new
        else:
            os.dup2(new, self._file, inheritable=False)
            os.close(new)
        self._descriptor = self._file
        self._torn = False

    def write(self, line: bytes) -> None:
        """Write one line, which includes its line end."""
        if self._path is None:
            _to_standard_error(line)
            return
        if self._time() >= self._due:
            self._follow(self._path)
        if self._descriptor == STANDARD_ERROR:
            _to_standard_error(line)
            return
        try:
            self._append(line)
        except OSError as error:
            self._report(error)
            _to_standard_error(line)

    def _follow(self, path: Path) -> None:
        """Open the file if the path leads to another one than the open one."""
        self._due = self._time() + INTERVAL
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(self._descriptor)):
                return
        self.reopen()

    def _append(self, line: bytes) -> None:
        """Write to the file; raise OSError if there is no room for the whole line."""
        text = b"\n" + line if self._torn else line
        written = os.write(self._descriptor, text)
        self._torn = written < len(text)
        if self._torn:
            raise OSError(None, "No room for a whole line", str(self._path))
        self._failed = False

    def _report(self, error: OSError) -> None:
        """Write to standard error why lines come there; once for each outage."""
        if not self._failed:
            self._failed = True
            text = f"gatepost: {_problem(error)}; the log goes to standard error until then\n"
            _to_standard_error(text.encode(errors="backslashreplace"))


def _open(path: Path) -> int:
    """Return a descriptor for appending; a file that does not exist is created with MODE."""
    try:
        return os.open(path, _APPEND)
    except FileNotFoundError:
        descriptor = os.open(path, _APPEND | os.O_CREAT, MODE)
        with suppress(OSError):
            os.fchmod(descriptor, MODE)  # whatever the umask is
        return descriptor


def _problem(error: OSError) -> str:
    return f"log.file: {describe_os_error(error)}, expected a file that can be appended to"


def _to_standard_error(line: bytes) -> None:
    with suppress(OSError):
        os.write(STANDARD_ERROR, line)
