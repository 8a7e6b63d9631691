"""The export of records: one JSON object a line, to a file or a Unix socket.

The export never waits. Lines that the other end does not take yet are kept, and dropped when more
than MAX_WAITING octets wait; a line is sent completely or not at all. Drops are counted, and logged
once when they begin and once when the other end takes lines again.

A file is opened for appending. If it was rotated, which changes its inode, it is opened again. A
socket is a stream or a datagram socket, whichever is found there; when it closes, it is connected
again at most once in RETRY seconds.

Limits: MAX_WAITING octets. A datagram that the system refuses as too long is dropped.
"""

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from gatepost.disk.durable import FILE_MODE
from gatepost.ledger.records import Record, to_json
from gatepost.log.logger import get_logger

MAX_WAITING = 4 << 20
RETRY = 1.0
# The other end takes nothing at the moment.
_BUSY = frozenset({errno.EAGAIN, errno.ENOBUFS})

_log = get_logger("gatepost.ledger")


class Sink(Protocol):
    """The other end. `write` returns how many octets of a line it took; raises OSError."""

    def write(self, line: bytes | memoryview) -> int:
        """Write without waiting; raises BlockingIOError if nothing can be written now."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Export:
    """Sends records to `target`, "jsonl:PATH" or "unix:PATH". Raises ValueError for another.

    `dropped` is the number of lines that were dropped.
    """

    def __init__(self, target: str, clock: Callable[[], float] = time.monotonic) -> None:
        scheme, _, self._path = target.partition(":")
        if scheme not in _SINKS or not self._path:
            raise ValueError(f"expected jsonl:PATH or unix:PATH, found {target!r}")
        self._open = _SINKS[scheme]
        self._clock = clock
        self._sink: Sink | None = None
        self._failed_at: float | None = None
        self._waiting: deque[bytes] = deque()
        self._octets = 0
        self._sent = 0  # octets of the first line that the sink has taken
        self._problem = ""
        self._has_lost = False
        self.dropped = 0

    def send(self, records: Iterable[Record]) -> None:
        """Send records, as far as the other end takes them; keep the others."""
        for record in records:
            line = to_json(record) + b"\n"
            self._waiting.append(line)
            self._octets += len(line)
        self.flush()
        self._drop()

    def flush(self) -> None:
        """Send lines that wait. Call it about once in a second."""
        try:
            while self._waiting and self._is_open():
                self._write_first()
        except OSError as error:
            self._fail(error)

    def reopen(self) -> None:
        """Open the file or socket again at the next line."""
        sink, self._sink = self._sink, None
        self._sent = 0
        if sink is not None:
            with suppress(OSError):
                sink.close()

    def close(self) -> None:
        """Send what can be sent, and close."""
        self.flush()
        self._lose(len(self._waiting), "closed")
        self._waiting.clear()
        self.reopen()

    def _is_open(self) -> bool:
        if isinstance(self._sink, _File) and self._sent == 0 and self._sink.is_rotated():
            self.reopen()
        if self._sink is None and self._may_open():
            self._sink = self._open(self._path)
            self._failed_at = None
        return self._sink is not None

    def _may_open(self) -> bool:
        return self._failed_at is None or self._clock() - self._failed_at >= RETRY

    def _write_first(self) -> None:
        assert self._sink is not None
        line = self._waiting[0]
        self._sent += self._sink.write(memoryview(line)[self._sent :])
        if self._sent == len(line):
            self._remove_first()
            self._recover()

    def _remove_first(self) -> None:
        self._octets -= len(self._waiting.popleft())
        self._sent = 0

    def _fail(self, error: OSError) -> None:
        if error.errno in _BUSY:
            return
        if error.errno == errno.EMSGSIZE:
            self._remove_first()
            self._lose(1, str(error))
            return
        self._failed_at = self._clock()
        self._problem = str(error)
        # A file that has the start of a line, for example because the disk is full, gets the rest.
        if self._sent == 0 or not isinstance(self._sink, _File):
            self.reopen()

    def _drop(self) -> None:
        """Drop the oldest lines of which nothing was sent."""
        count = 0
        while self._octets > MAX_WAITING and len(self._waiting) > 1:
            at = 1 if self._sent else 0
            self._octets -= len(self._waiting[at])
            del self._waiting[at]
            count += 1
        self._lose(count, self._problem or "the other end is too slow")

    def _lose(self, count: int, problem: str) -> None:
        if count and not self._has_lost:
            _log.error("ledger export stopped", target=self._path, problem=problem)
            self._has_lost = True
        self.dropped += count

    def _recover(self) -> None:
        self._problem = ""
        if self._has_lost and self._octets <= MAX_WAITING // 2:
            _log.warning("ledger export resumed", target=self._path, dropped=self.dropped)
            self._has_lost = False


class _File:
    """A file that lines are appended to. Raises OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        # A FIFO without a reader is an error here, and does not wait.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(path, flags, FILE_MODE)

    def write(self, line: bytes | memoryview) -> int:
        return os.write(self._descriptor, line)

    def is_rotated(self) -> bool:
        """Return whether the path has another file by now, or none."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat
        except OSError:
            return True
        ours = os.fstat(self._descriptor)
        return (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino)

    def close(self) -> None:
        os.close(self._descriptor)


class _Socket:
    """A stream or datagram Unix socket. Raises OSError."""

    def __init__(self, path: str) -> None:
        try:
            self._socket = _connected(path, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            self._socket = _connected(path, socket.SOCK_DGRAM)

    def write(self, line: bytes | memoryview) -> int:
        return self._socket.send(line, socket.MSG_NOSIGNAL)

    def close(self) -> None:
        self._socket.close()


def _connected(path: str, kind: socket.SocketKind) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, kind)
    try:
        one.setblocking(False)
        one.connect(path)
    except OSError:
        one.close()
        raise
    return one


_SINKS: dict[str, Callable[[str], Sink]] = {"jsonl": _File, "unix": _Socket}
