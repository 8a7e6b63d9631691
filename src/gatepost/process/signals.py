"""The signals of the supervisor."""

import select
import signal
import socket
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any, Self

from gatepost.process.control import Channel

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_HANDLED = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD)


class SignalQueue:
    """Records signals inside a `with` block, and waits for them without missing one.

    Python writes an octet to the wake-up socket for each signal, so a signal that arrives before
    the wait ends it too.
    """

    def __init__(self) -> None:
        self._received: list[int] = []
        self._previous: dict[int, Any] = {}
        self._wake_reader, self._wake_writer = socket.socketpair()

    def __enter__(self) -> Self:
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._record) for number in _HANDLED}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        self._wake_reader.close()
        self._wake_writer.close()

    def _record(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)

    def take(self) -> list[int]:
        """Return the signals received since the last call, in order."""
        taken, self._received = self._received, []
        return taken

    def wait(self, channels: Iterable[Channel], seconds: float) -> None:
        """Wait until a signal or a control message arrives, or the time has passed."""
        poll = select.poll()
        poll.register(self._wake_reader, select.POLLIN)
        for channel in channels:
            if not channel.ended:
                poll.register(channel, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
        if self._wake_reader.fileno() in ready:
            self._wake_reader.recv(4096)
