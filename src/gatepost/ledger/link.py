"""The way of records from a worker to the ledger process: batches over a pair of sockets.

Theory of operation
-------------------
The supervisor makes the pair. All workers send to one end, and the ledger process reads the other.
A batch is one packet, so those of several workers do not mix. The supervisor keeps both ends open:
what was sent stays there while the ledger process is replaced.

A worker encodes a record at once, and sends a batch when BATCH octets have come together or after
INTERVAL seconds. If the socket is full the records wait in a buffer. If that is full too, new
records are dropped and counted; mail never waits.

Records are numbered, and each batch has the number of its first record. A reader that finds a
jump can count those that are missing.

Security: only processes that the supervisor starts have the sockets.
Limits: BUFFER octets wait in a worker. A record of more than LARGEST octets loses its lists.
"""

import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from gatepost.ledger.records import Notice, Record, encode
from gatepost.model.structs import FrozenArray

BATCH = 48 * 1024
LARGEST = 48 * 1024
BUFFER = 8 * 1024 * 1024
INTERVAL = 0.1
# Octets of one packet, and of the packets that wait in the socket.
PACKET = 128 * 1024
_SOCKET_BUFFER = 4 * 1024 * 1024
_LISTS: dict[str, Any] = {
    "answers": (),
    "recipients": (),
    "traps": (),
    "results": {},
    "edits": (),
    "changes": (),
}


class Batch(FrozenArray, frozen=True, array_like=True):
    """One packet.

    `source` names the sender: a process has a new name after each start. `number` is the number of
    the first record, counted from 0. `dropped` is how many records the sender has dropped so far;
    they have numbers too. `status` is the state of a worker, "" if none is due.
    """

    source: str
    number: int
    dropped: int
    records: list[bytes]
    status: bytes = b""


encode_batch = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


def decode_batch(packet: bytes) -> Batch:
    """Return a batch; raises ValueError."""
    return _decode(packet)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return the end to read from and the end to send to."""
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
    reader, sender = socket.socketpair(socket.AF_UNIX, kind)
    for one in (reader, sender):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
    sender.setblocking(False)
    return reader, sender


class Timer(Protocol):
    """Calls a function later, as `asyncio.AbstractEventLoop.call_later` does."""

    def __call__(self, delay: float, callback: Callable[[], Any], /) -> Any:
        """Call `callback` after `delay` seconds."""


class Link:
    """A sender. `call_later` is that of the event loop in which records are added."""

    __slots__ = (
        "_call_later",
        "_dropped",
        "_next",
        "_octets",
        "_pending",
        "_scheduled",
        "_socket",
        "_source",
        "_waiting",
        "_waiting_octets",
    )

    def __init__(self, sock: socket.socket, call_later: Timer) -> None:
        self._socket = sock
        self._call_later = call_later
        self._source = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._pending: list[bytes] = []
        self._octets = 0
        self._waiting: deque[Batch] = deque()
        self._waiting_octets = 0
        self._next = 0
        self._dropped = 0
        self._scheduled = False

    @property
    def dropped(self) -> int:
        """The number of records that were dropped so far."""
        return self._dropped

    def add(self, record: Record) -> None:
        """Take a record over."""
        data = encode(record)
        if len(data) > LARGEST:
            data = encode(shortened(record))
        if self._waiting_octets > BUFFER:
            self._close_batch()  # the records of a batch have numbers without a jump
            self._dropped += 1
            self._next += 1
            return
        self._pending.append(data)
        self._octets += len(data)
        if self._octets >= BATCH:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._call_later(INTERVAL, self._tick)

    def _tick(self) -> None:
        self._scheduled = False
        self.flush()

    def report(self, status: bytes) -> None:
        """Send the state of the worker, with the records so far."""
        self._close_batch(status)
        self.flush()

    def _close_batch(self, status: bytes = b"") -> None:
        """Make a batch of the records since the last one."""
        if not (self._pending or status):
            return
        batch = Batch(self._source, self._next, self._dropped, self._pending, status)
        self._waiting.append(batch)
        self._waiting_octets += self._octets
        self._next += len(self._pending)
        self._pending = []
        self._octets = 0

    def flush(self) -> bool:
        """Send what the socket takes; return whether nothing is left."""
        self._close_batch()
        while self._waiting:
            batch = self._waiting[0]
            try:
                self._socket.send(encode_batch(batch))
            except (BlockingIOError, InterruptedError):
                self._try_again()
                return False
            except OSError:  # the packet is too large for this system, or the other end is closed
                self._dropped += len(batch.records)
            self._waiting.popleft()
            self._waiting_octets -= sum(map(len, batch.records))
        return True

    def _try_again(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_later(INTERVAL, self._tick)


class NoticeSender:
    """Sends events of the server, one packet for each; `source` is a name that none had before."""

    __slots__ = ("_number", "_socket", "_source")

    def __init__(self, sock: socket.socket, source: str) -> None:
        self._socket = sock
        self._source = source
        self._number = 0

    def send(self, notice: Notice) -> None:
        """Send an event; it is lost if the socket is full."""
        batch = Batch(self._source, self._number, 0, [encode(notice)])
        self._number += 1
        with suppress(OSError):
            self._socket.send(encode_batch(batch))


def shortened(record: Record) -> Record:
    """Return a record without its lists; their counts stay."""
    names = {name: empty for name, empty in _LISTS.items() if hasattr(record, name)}
    short: Record = msgspec.structs.replace(record, **names)
    return short
