"""Control messages between the supervisor and a worker process, over a socket pair.

Each message is one line: a JSON array of a kind and a detail. Neither side ever waits for the
other. A message that does not fit into the socket's buffer is lost, and the watchdog detects that
as a missing reply.

In the worker a thread reads the channel. It answers each ping with a progress counter, even while
the event loop is busy, so that the supervisor can distinguish a worker that is busy from one that
hangs. A C call that keeps the GIL stops the thread too, and the worker does not answer at all.

Security: the supervisor creates both ends and passes one to the worker only.
"""

import json
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

# A line must fit into the socket's buffer as a whole. A longer detail, a text for people, is cut.
MAX_DETAIL = 16_000

_READ = 65_536


class MessageKind(StrEnum):
    """The kinds of control messages."""

    PING = "ping"  # supervisor: report your progress
    PONG = "pong"  # worker: the detail is a counter that moves while the worker makes progress
    READY = "ready"  # worker: it accepts connections; the detail: its version and build
    FAILED = "failed"  # worker: it cannot start; the detail is the reason
    RETIRE = "retire"  # supervisor: accept no more connections, exit when all sessions have ended
    STOP = "stop"  # supervisor: exit as soon as no message is being received


class ControlMessage(NamedTuple):
    """A message."""

    kind: MessageKind
    detail: str


class Channel:
    """One end of the pair. `ended` is true after the other end was closed."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._unread = b""
        self.ended = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a message arrives."""
        return self._sock.fileno()

    def send(self, kind: MessageKind, detail: str = "") -> None:
        """Send a message; do nothing if the other end is closed."""
        line = json.dumps([kind, detail[:MAX_DETAIL]]) + "\n"
        with suppress(OSError):
            self._sock.send(line.encode())

    def receive(self) -> list[ControlMessage]:
        """Return the messages that have arrived."""
        self._read()
        *lines, self._unread = self._unread.split(b"\n")
        return [
            ControlMessage(MessageKind(kind), detail) for kind, detail in map(json.loads, lines)
        ]

    def _read(self) -> None:
        try:
            while piece := self._sock.recv(_READ):
                self._unread += piece
            self.ended = True
        except BlockingIOError:
            return
        except OSError:
            self.ended = True

    def close(self) -> None:
        """Close this end."""
        self._sock.close()


class ControlThread:
    """Answers pings with `progress()` and passes other messages to `handle`.

    The end of the channel is passed on as STOP. Both functions are called in the thread.
    """

    def __init__(
        self, channel: Channel, progress: Callable[[], int], handle: Callable[[MessageKind], None]
    ) -> None:
        self._channel = channel
        self._progress = progress
        self._handle = handle

    def start(self) -> None:
        """Start the thread. It ends with the channel or with the process."""
        threading.Thread(target=self._run, name="control", daemon=True).start()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        while not self._channel.ended:
            poll.poll()
            self.process_messages()

    def process_messages(self) -> None:
        """Process the messages that have arrived."""
        for kind, _ in self._channel.receive():
            if kind is MessageKind.PING:
                self._channel.send(MessageKind.PONG, str(self._progress()))
            else:
                self._handle(kind)
        if self._channel.ended:
            self._handle(MessageKind.STOP)
