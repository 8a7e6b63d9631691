"""What the supervisor and a worker process say to each other: short messages over a socket pair.

Each message is one line, a JSON array of a word and a detail. Neither side ever waits for the
other: what does not fit into the socket's buffer is lost, and that is noticed as silence.

Security: both ends are made by the supervisor and passed to the worker alone.
"""

import json
import socket
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

# A line has to fit into the socket's buffer as a whole; a detail is for people, and may be cut.
MAX_DETAIL = 16_000

_READ = 65_536


class ControlMessage(StrEnum):
    """The messages there are."""

    PING = "ping"  # supervisor: are you alive?
    PONG = "pong"  # worker: I am
    READY = "ready"  # worker: I accept connections
    FAILED = "failed"  # worker: I cannot start; the detail says why
    RETIRE = "retire"  # supervisor: accept no more, and end when your sessions have ended
    STOP = "stop"  # supervisor: end as soon as no message is under way


class Report(NamedTuple):
    """One message."""

    word: ControlMessage
    detail: str


class Channel:
    """One end of the pair; `ended` is true once the other end is closed."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._unread = b""
        self.ended = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there is something to hear."""
        return self._sock.fileno()

    def say(self, word: ControlMessage, detail: str = "") -> None:
        """Send a message, if the other side is still there."""
        line = json.dumps([word, detail[:MAX_DETAIL]]) + "\n"
        with suppress(OSError):
            self._sock.send(line.encode())

    def hear(self) -> list[Report]:
        """Return the messages that have come in."""
        self._receive()
        *lines, self._unread = self._unread.split(b"\n")
        return [Report(ControlMessage(word), detail) for word, detail in map(json.loads, lines)]

    def _receive(self) -> None:
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
