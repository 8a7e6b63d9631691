"""The supervisor: binds, drops privileges, keeps workers alive, replaces them all in a reload.

Theory of operation
-------------------
One thread and one `poll`, no event loop; nothing of a plugin or a client ever runs here. Each turn
of `run` takes the signals that came in, then looks after the crews: `_crew` serves, `_next` is
being started by a reload, `_retired` ones end. The next crew takes over when all of its workers are
ready; only then the crew before is told to retire. Both accept from the same sockets meanwhile, so
that no connection is ever refused for want of somebody who accepts.

There is one worker at least, and it is a process of its own even if it is the only one: a reload
needs two generations side by side, and a crash somebody who is left.

Security: privileges are dropped once the first sockets are bound and certificates are read, and
before the first worker starts, in this process too. A reload can therefore not bind ports below
1024 that are new, nor read again what only root may read (`gatepost.process.root_files`).
"""

import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from gatepost.config.load import load
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config
from gatepost.counts.memory import CounterMemory
from gatepost.log.setup import configure_log
from gatepost.net.sockets import ListenFailedError
from gatepost.process import systemd
from gatepost.process.control import ControlMessage
from gatepost.process.listeners import Listener, Sockets
from gatepost.process.pool import PoolError, WorkerPool, workers
from gatepost.process.privileges import PrivilegesError, become
from gatepost.process.root_files import RootFiles, hold

# How long nothing is looked at if nothing happens, in seconds.
TICK = 0.5
# After a turn that comes this late the whole machine or job was stopped, not the workers alone.
LATE = 2 * TICK
# Beyond stop_timeout, for what a worker does after its sessions have ended; then it is killed.
GRACE = 5.0
# Generations that may retire at a time: with reloads every few seconds and sessions that last,
# processes would pile up.
MAX_RETIRED = 4

_STOP = (signal.SIGTERM, signal.SIGINT)
_HANDLED = (*_STOP, signal.SIGHUP, signal.SIGCHLD)


class Supervisor:
    """Serves as `config` says, which was read from `file`; a reload reads that again."""

    def __init__(self, config: Config, file: Path) -> None:
        self._file = file
        self._sockets = Sockets()
        self._board = CounterMemory()
        self._held = RootFiles({}, {})
        self._pool = WorkerPool(config, (), self._board)
        self._next: WorkerPool | None = None
        self._retired: list[WorkerPool] = []
        self._signals: list[int] = []
        self._reload_wanted = False
        self._stopping: float | None = None
        self._ready = False
        self._watchdog = systemd.watchdog_interval()
        self._fed = 0.0
        self._turned = 0.0

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one ends the process at once.

        Raises `ListenFailedError`, `PrivilegesError` or `PoolError` if it cannot start.
        """
        before = {number: signal.getsignal(number) for number in _HANDLED}
        config = self._pool.config
        try:
            listeners = self._sockets.listen(config, workers(config))
            self._held = hold(config)
            become(config.server.user)
            contents = self._held.for_workers(config)
            self._pool = WorkerPool(config, listeners, self._board, contents)
            self._supervise()
        finally:
            for pool in self._crews():
                pool.kill()
            self._sockets.keep(())
            self._board.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        again = [number for number in self._signals if number in _STOP]
        if again:
            signal.raise_signal(again[0])

    def _supervise(self) -> None:
        awake, wake = socket.socketpair()
        awake.setblocking(False)
        wake.setblocking(False)
        with awake, wake:
            signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
            for number in _HANDLED:
                signal.signal(number, self._note)
            try:
                while self._turn():
                    self._sleep(awake)
            finally:
                signal.set_wakeup_fd(-1)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _sleep(self, awake: socket.socket) -> None:
        """Wait for a signal, a worker that says something, or TICK."""
        poll = select.poll()
        poll.register(awake, select.POLLIN)
        for process in chain.from_iterable(self._crews()):
            if not process.channel.ended:
                poll.register(process.channel, select.POLLIN)
        if any(found == awake.fileno() for found, _ in poll.poll(TICK * 1000)):
            awake.recv(4096)

    def _crews(self) -> list[WorkerPool]:
        return [self._pool, *self._retired, *([self._next] if self._next else ())]

    def _turn(self) -> bool:
        """Do all that is due; return False when there is nothing left to do."""
        now = time.monotonic()
        while self._signals:
            number = self._signals.pop(0)
            if number in _STOP and self._stopping is not None:
                self._signals = [number]
                return False
            self._obey(number, now)
        self._feed(now)
        self._excuse(now)
        if self._stopping is None:
            self._tend(now)
        self._tend_retired(now)
        return self._stopping is None or bool(self._retired)

    def _obey(self, number: int, now: float) -> None:
        if number == signal.SIGHUP:
            self._reload_wanted = True
        elif number in _STOP:
            self._stop(now)

    def _excuse(self, now: float) -> None:
        """Do not take for silence what was our own absence."""
        late = now - self._turned > LATE
        self._turned = now
        for process in chain.from_iterable(self._crews() if late else ()):
            process.excuse(now)

    def _feed(self, now: float) -> None:
        if self._watchdog is not None and now - self._fed >= self._watchdog:
            self._fed = now
            systemd.notify(systemd.WATCHDOG)

    def _tend(self, now: float) -> None:
        self._pool.tend(now)
        if not self._ready and self._pool.complete:
            self._ready = True
            systemd.notify(systemd.READY)
            _say_ready(self._pool.listeners)
        if self._reload_wanted and self._ready:
            self._reload_wanted = False
            self._reload(now)
        if self._next is not None:
            self._tend_next(self._next, now)

    def _tend_retired(self, now: float) -> None:
        for pool in self._retired:
            pool.tend(now)
            assert pool.stopped_at is not None
            if now - pool.stopped_at > self._patience(pool):
                pool.kill()
        self._retired = [pool for pool in self._retired if not pool.gone]

    def _patience(self, pool: WorkerPool) -> float:
        """Return after how many seconds a crew is killed: one that retires waits twice."""
        times = 1 if self._stopping is not None else 2
        return pool.config.server.stop_timeout * times + GRACE

    def _retire(self, pool: WorkerPool, word: ControlMessage, now: float) -> None:
        pool.dismiss(word, now)
        self._retired.append(pool)
        for old in self._retired[:-MAX_RETIRED]:
            old.dismiss(ControlMessage.STOP, old.stopped_at or now)

    def _reload(self, now: float) -> None:
        """Begin to replace all workers by ones with the configuration as it is now."""
        systemd.notify(systemd.reloading())
        try:
            config = load(self._file)
            self._check_user(config)
            contents = self._held.for_workers(config)
            listeners = self._sockets.listen(config, workers(config))
        except ConfigError as error:
            self._keep_old(map(str, error.problems))
        except (ListenFailedError, PrivilegesError) as error:
            self._keep_old([str(error)])
        else:
            if self._next is not None:
                self._retire(self._next, ControlMessage.STOP, now)
            self._next = WorkerPool(config, listeners, self._board, contents)

    def _check_user(self, config: Config) -> None:
        now, then = self._pool.config.server.user, config.server.user
        if then != now:
            raise PrivilegesError(
                f'{self._file}: server.user: expected "{now}" until the next restart,'
                f' found "{then}"'
            )

    def _keep_old(self, problems: Iterable[str]) -> None:
        for problem in problems:
            _log().error("configuration not loaded, the one before stays", problem=problem)
        self._sockets.keep([pool.config for pool in self._crews() if pool not in self._retired])
        systemd.notify(systemd.READY)

    def _tend_next(self, pool: WorkerPool, now: float) -> None:
        try:
            pool.tend(now)
        except PoolError as error:
            self._next = None
            self._retire(pool, ControlMessage.STOP, now)
            self._keep_old(str(error).splitlines())
            return
        if pool.complete:
            self._take_over(pool, now)

    def _take_over(self, pool: WorkerPool, now: float) -> None:
        old, self._pool, self._next = self._pool, pool, None
        self._retire(old, ControlMessage.RETIRE, now)
        self._sockets.keep([pool.config])
        configure_log(pool.config.log)
        _log().info("reloaded", listen=_addresses(pool.listeners))
        for path in pool.contents:
            _log().warning("certificate not read again, only root may", path=str(path))
        systemd.notify(systemd.READY)

    def _stop(self, now: float) -> None:
        self._stopping = now
        systemd.notify(systemd.STOPPING)
        if self._ready:
            _log().info("stopping")
        self._sockets.keep(())
        for pool in self._crews():
            pool.dismiss(ControlMessage.STOP, now)
        self._retired = self._crews()
        self._next = None


def _addresses(listeners: Sequence[Listener]) -> list[str]:
    return [f"{one.protocol}={one.address}" for one in listeners]


def _say_ready(listeners: Sequence[Listener]) -> None:
    sys.stderr.write(f"gatepost: ready {' '.join(_addresses(listeners))}\n")
    sys.stderr.flush()


def _log() -> Any:
    """Return a logger of the present configuration, which a reload may change."""
    return structlog.get_logger("gatepost.supervisor")
