"""One worker process, as the supervisor sees it: started, listened to, missed when silent.

A worker is a new interpreter, not a fork: it starts from known state – no threads, locks or
loop of the supervisor's – runs the code that is installed now, and keeps plugins out of the
supervisor. What a fork would share is little: reference counts make Python's pages private soon,
and big lists are mapped files anyway.

Security: the configuration travels by an unnamed file, in memory where there are such, and open
sockets by inheritance; nobody else can read or write either. `-P` keeps the current folder out of
the worker's module path.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from gatepost.config.schema import Config
from gatepost.counts.memory import CounterMemory
from gatepost.net.tls import Contents
from gatepost.net.unnamed import unnamed
from gatepost.process.control import Channel, ControlMessage
from gatepost.process.systemd import VARIABLES

# How often a worker is asked whether it is alive, in seconds; less if it is given less time.
PING_EVERY = 2.0
# From SIGABRT, which makes a worker say where it hangs, to SIGKILL.
ABORT_GRACE = 1.0


class Orders(msgspec.Struct, frozen=True):
    """What a worker reads when it starts.

    `sockets` are the descriptors for each listener, `board` is that of the counters, where the
    worker has the region `seat`, `contents` has files that the worker may not read.
    """

    config: Config
    sockets: list[list[int]]
    board: int
    slot: int
    contents: Contents


class WorkerProcess:
    """A worker; `ready` once it accepts connections, `failure` says why it could not.

    It has a region of `board` from now until `ended`. Raises OSError when no process can be
    started.
    """

    def __init__(
        self,
        config: Config,
        sockets: Sequence[Sequence[socket.socket]],
        board: CounterMemory,
        contents: Contents | None = None,
    ) -> None:
        descriptors = [[sock.fileno() for sock in some] for some in sockets]
        ours, theirs = socket.socketpair()
        self.ready = False
        self.failure = ""
        self._limit = config.server.worker_timeout
        self._asked: float | None = None
        self._next_ping = 0.0
        self._aborted: float | None = None
        self._board = board
        with ours, theirs, ExitStack() as undo:
            self._slot = board.claim()
            undo.callback(board.release, self._slot)
            self._popen = _start(
                Orders(config, descriptors, board.file, self._slot, contents or {}),
                theirs.fileno(),
            )
            self.channel = Channel(ours.dup())
            undo.pop_all()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def say(self, word: ControlMessage) -> None:
        """Send an order."""
        self.channel.say(word)

    def hear(self) -> None:
        """Take note of what the worker has said."""
        for word, detail in self.channel.hear():
            if word is ControlMessage.READY:
                self.ready = True
            elif word is ControlMessage.PONG:
                self._asked = None
            elif word is ControlMessage.FAILED:
                self.failure = detail

    def watch(self, now: float) -> bool:
        """Ask whether it is alive; return True when it is given up for having been silent.

        A worker that is not ready yet may take its time: reading a big list is no fault.
        """
        if self._aborted is not None:
            if now - self._aborted > ABORT_GRACE:
                self.kill()
            return False
        if self._asked is not None:
            if now - self._asked <= self._limit:
                return False
            self._aborted = now
            self._popen.send_signal(signal.SIGABRT)
            return True
        if self.ready and now >= self._next_ping:
            self._asked = now
            self._next_ping = now + min(PING_EVERY, self._limit / 2)
            self.say(ControlMessage.PING)
        return False

    def excuse(self, now: float) -> None:
        """Begin to wait for the answer anew: we have been away ourselves."""
        if self._asked is not None:
            self._asked = now

    def ended(self) -> bool:
        """Whether the process is gone; everything it said before has been heard then."""
        if self._popen.poll() is None:
            return False
        self.hear()
        self.channel.close()
        self._board.release(self._slot)
        return True

    @property
    def end(self) -> str:
        """How it ended: `exit status 1`, `signal SIGKILL`."""
        code = self._popen.returncode
        if code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit status {code}"

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()


def _start(orders: Orders, channel: int) -> subprocess.Popen[bytes]:
    with unnamed() as file:
        pickle.dump(orders, file)
        file.seek(0)
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-m", "gatepost.process.worker_main", str(channel)],
            stdin=file,
            pass_fds=[channel, orders.board, *(one for some in orders.sockets for one in some)],
            env={key: text for key, text in os.environ.items() if key not in VARIABLES},
        )
