"""One worker process, as the supervisor sees it.

A worker is a fork of the supervisor, or a new interpreter if other code is installed than the one
that the supervisor has imported (`start`). In both cases it imports the plugins itself, which keeps
them out of the supervisor.
"""

import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from gatepost.config.schema import Config
from gatepost.counts.memory import CounterMemory
from gatepost.net.tls import Contents
from gatepost.process.control import Channel, MessageKind
from gatepost.process.interpreter import describe_exit, start_module
from gatepost.process.start import StartChild
from gatepost.process.watchdog import Watchdog

# The code of a worker.
MODULE = "gatepost.process.worker_main"
# From SIGABRT, at which a worker prints its stack, to SIGKILL.
ABORT_GRACE = 1.0


class WorkerArguments(msgspec.Struct, frozen=True):
    """The input of a worker process.

    `sockets` are the descriptors for each listener. `counters` is the descriptor of the counter
    memory, in which the worker has the slot `slot`. `contents` are files that the worker cannot
    read itself. `ledger` is the socket to the ledger process, -1 without one. With `late_traps` it
    does not wait for very big trap lists.
    """

    config: Config
    sockets: list[list[int]]
    counters: int
    slot: int
    contents: Contents
    ledger: int = -1
    late_traps: bool = False

    @property
    def descriptors(self) -> list[int]:
        """The descriptors that the process inherits."""
        sockets = [one for listener in self.sockets for one in listener]
        ledger = [self.ledger] if self.ledger >= 0 else []
        return [self.counters, *ledger, *sockets]


class WorkerProcess:
    """A worker. `ready` is true once it accepts connections; `failure` is why it cannot.

    A worker runs the installed code, so its `version` can be newer than that of the supervisor.

    `killed` is true after SIGKILL, even if the process does not exit because a disk hangs.

    It has a slot of `counters` until it has exited. Raises OSError if no process can be started.
    """

    def __init__(
        self,
        config: Config,
        sockets: Sequence[Sequence[socket.socket]],
        counters: CounterMemory,
        contents: Contents | None = None,
        *,
        ledger: int = -1,
        late_traps: bool = False,
        start: StartChild = start_module,
    ) -> None:
        descriptors = [[sock.fileno() for sock in listener] for listener in sockets]
        own_end, worker_end = socket.socketpair()
        self.ready = False
        self.version = ""
        self.build = ""
        self.failure = ""
        self.killed = False
        self._watchdog = Watchdog(config.server.worker_timeout)
        self._start_timeout = config.server.start_timeout
        self._checked_first: float | None = None
        self._aborted_at: float | None = None
        self._counters = counters
        with own_end, worker_end, ExitStack() as undo:
            self._slot = counters.claim()
            undo.callback(counters.release, self._slot)
            arguments = WorkerArguments(
                config, descriptors, counters.file, self._slot, contents or {}, ledger, late_traps
            )
            self._child = start(MODULE, arguments, worker_end.fileno(), arguments.descriptors)
            self.channel = Channel(own_end.dup())
            undo.pop_all()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._child.pid

    def send(self, kind: MessageKind) -> None:
        """Send a control message."""
        self.channel.send(kind)

    def receive(self) -> None:
        """Process the control messages that the worker has sent."""
        for kind, detail in self.channel.receive():
            if kind is MessageKind.READY:
                self.ready = True
                self.version, _, self.build = detail.partition(" ")
            elif kind is MessageKind.PONG:
                self._watchdog.record(detail)
            elif kind is MessageKind.FAILED:
                self.failure = detail

    def check_progress(self, now: float) -> bool:
        """Send a ping if one is due; abort a worker that hangs and then return True.

        A worker that is not ready yet has a longer limit, because a big list takes long to load. An
        aborted worker that does not exit is killed.
        """
        if self._aborted_at is not None:
            if now - self._aborted_at > ABORT_GRACE:
                self.killed = True
                self.kill()
        elif not self.ready:
            self._check_start(now)
        elif self._watchdog.has_expired(now):
            self._abort(now)
            return True
        elif self._watchdog.is_ping_due(now):
            self.send(MessageKind.PING)
        return False

    def _check_start(self, now: float) -> None:
        if self._checked_first is None:
            self._checked_first = now
        elif now - self._checked_first > self._start_timeout:
            self.failure = (
                f"a worker was not ready within {self._start_timeout:g} s (server.start_timeout),"
                " its stack is on standard error"
            )
            self._abort(now)

    def _abort(self, now: float) -> None:
        """Send SIGABRT, at which a worker prints its stack."""
        self._aborted_at = now
        self._child.send_signal(signal.SIGABRT)

    def restart_watchdog(self, now: float) -> None:
        """Grant the whole time limit again, because the supervisor itself was suspended."""
        self._watchdog.restart(now)
        self._checked_first = None

    def has_exited(self) -> bool:
        """Return whether the process has exited; its last messages are then processed."""
        if self._child.poll() is None:
            return False
        self.receive()
        self.channel.close()
        self._counters.release(self._slot)
        return True

    @property
    def status(self) -> str:
        """Return how the process exited: `exit status 1`, `signal SIGKILL`."""
        return describe_exit(self._child.poll() or 0)

    def kill(self) -> None:
        """Kill the process."""
        self._child.kill()
