"""The worker's side of the control channel, served by a daemon thread.

The thread answers each ping with a progress counter, even while the event loop is busy. The
supervisor can therefore distinguish a worker that works hard, whose counter moves, from one that
hangs. A C call that keeps the GIL stops the thread too, and the worker does not answer at all.

All other messages are passed on to a callback.
"""

import select
import threading
from collections.abc import Callable

from gatepost.process.control import Channel, MessageKind


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
