"""The supervisor: binds addresses, drops privileges, maintains the workers, reloads.

Theory of operation
-------------------
One thread and one `poll`, no event loop. No plugin code and no data of a client is ever processed
here. Each turn of `run` handles the signals that have arrived, then maintains the worker pools
(`gatepost.process.generations`).

There is always at least one worker process besides the supervisor. A reload needs two generations
at the same time, and a crash must leave a process that can start the replacement.

The supervisor imports the code of workers, but runs none of it: workers are forks, which have that
code at once and share its memory (`gatepost.process.start`).

Security: privileges are dropped after the first sockets are bound and the certificates are read,
and before the first worker starts. This process drops them too. A reload can therefore not bind new
ports below 1024, nor read files again that only root can read (`gatepost.process.root_files`).
"""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatepost._version import __version__
from gatepost.config.load import load_config
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config
from gatepost.counts.memory import CounterMemory
from gatepost.log.logger import get_logger
from gatepost.log.output import LogFileError, probe
from gatepost.log.setup import configure_log, reopen_log
from gatepost.net.sockets import ListenFailedError
from gatepost.net.tls import Contents
from gatepost.process import systemd
from gatepost.process.generations import Generations
from gatepost.process.ledger_process import LedgerProcess, is_needed
from gatepost.process.listeners import Listener, Listeners
from gatepost.process.open_files import needed_files, raise_file_limit
from gatepost.process.pool import PoolError, WorkerPool, worker_count
from gatepost.process.privileges import PrivilegesError, become
from gatepost.process.root_files import RootFiles, read_root_files
from gatepost.process.signals import STOP_SIGNALS, SignalQueue
from gatepost.process.start import ChildStarter
from gatepost.process.state import StateFile
from gatepost.process.system_warnings import log_system_warnings
from gatepost.process.web_process import WebProcess
from gatepost.process.worker import MODULE

# The longest interval between two turns, in seconds.
TICK = 0.5
# What the first sessions do not need, such as the ledger process, comes in the turn after the
# workers are ready, or after this time, in seconds.
LATER = 1.0
# After a turn that is later than this the whole machine or job was suspended, not only the workers.
LATE = 2 * TICK


_log = get_logger("gatepost.supervisor")


class Supervisor:
    """Serves with `config`, which was read from `file`; a reload reads the file again."""

    def __init__(self, config: Config, file: Path) -> None:
        self._config = config
        self._file = file
        self._listeners = Listeners()
        self._counters = CounterMemory()
        self._root_files = RootFiles({}, {})
        self._generations = Generations()
        self._start_child = ChildStarter(MODULE)
        self._ledger = LedgerProcess(self._start_child)
        self._web = WebProcess(self._start_child, self._ledger.sender.fileno())
        self._state = StateFile()
        self._signals = SignalQueue()
        self._service_watchdog = systemd.ServiceWatchdog()
        self._reload_requested = False
        self._started = 0.0
        self._last_turn = 0.0

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one ends the process at once.

        Raises `ListenFailedError`, `PrivilegesError`, `LogFileError` or `PoolError` if the server
        cannot start.
        """
        second_signal = None
        with self._signals:
            try:
                self._start()
                second_signal = self._supervise()
            finally:
                self._generations.kill()
                self._web.close()  # it can send records to the ledger until its end
                self._ledger.close(time.monotonic())
                self._listeners.close_unused(())
                self._counters.close()
                self._state.close()
        if second_signal is not None:
            _end_by(second_signal)

    def _start(self) -> None:
        config = self._config
        listeners = self._listeners.open(config, worker_count(config))
        self._root_files = read_root_files(config)
        become(config.server.user)
        probe(config.log_file)
        configure_log(config.log, config.log_file)
        contents = self._root_files.for_workers(config)
        raise_file_limit(needed_files(config))
        self._state.open(config.data_dir)
        self._start_child.import_parts(config)
        self._started = time.monotonic()
        self._ledger.use(config, self._started)
        self._web.use(config, self._listeners.web(config), contents, self._started)
        self._generations.start(self._pool(config, listeners, contents), 0.0)

    def _pool(
        self, config: Config, listeners: Sequence[Listener], contents: Contents
    ) -> WorkerPool:
        ledger = self._ledger.sender.fileno() if is_needed(config) else -1
        return WorkerPool(
            config,
            listeners,
            self._counters,
            contents,
            ledger,
            late_traps=self._generations.serving is None,  # a reload has a version in force
            start=self._start_child,
        )

    def _supervise(self) -> int | None:
        """Take turns until all workers have exited; return a signal that interrupts the stop."""
        while True:
            now = time.monotonic()
            for number in self._signals.take():
                if number in STOP_SIGNALS and self._generations.stopping:
                    return number
                self._handle_signal(number, now)
            self._service_watchdog.notify_if_due(now)
            self._restart_watchdogs_if_late(now)
            self._maintain(now)
            self._state.update(self._generations)
            if self._generations.finished:
                return None
            self._signals.wait((one.channel for one in self._generations.workers), TICK)

    def _handle_signal(self, number: int, now: float) -> None:
        if number == signal.SIGHUP:
            reopen_log()
            self._reload_requested = True
        elif number in STOP_SIGNALS:
            self._stop(now)

    def _restart_watchdogs_if_late(self, now: float) -> None:
        """Do not blame the workers for a time in which the supervisor was suspended too."""
        late = now - self._last_turn > LATE
        self._last_turn = now
        for process in self._generations.workers if late else ():
            process.restart_watchdog(now)

    def _maintain(self, now: float) -> None:
        generations = self._generations
        if generations.serving is not None or now - self._started > LATER:
            self._start_child.notice_upgrades()
            self._ledger.maintain(now)
            self._web.maintain(now)
        if generations.serving is not None:
            generations.serving.maintain(now)
            if self._reload_requested:
                self._reload_requested = False
                self._reload(generations.serving, now)
        if generations.starting is not None:
            self._maintain_starting(generations.starting, now)
        generations.maintain_retired(now)

    def _reload(self, serving: WorkerPool, now: float) -> None:
        """Start a pool with the configuration as it is now in the file."""
        systemd.notify(systemd.reloading())
        try:
            config = load_config(self._file)
            self._check_user(serving.config.server.user, config.server.user)
            probe(config.log_file)
            contents = self._root_files.for_workers(config)
            listeners = self._listeners.open(config, worker_count(config))
        except ConfigError as error:
            self._report_failed_reload(list(map(str, error.problems)))
        except (ListenFailedError, PrivilegesError, LogFileError) as error:
            self._report_failed_reload([str(error)])
        else:
            raise_file_limit(needed_files(config))
            self._generations.start(self._pool(config, listeners, contents), now)

    def _check_user(self, current: str, new: str) -> None:
        if new != current:
            raise PrivilegesError(
                f'{self._file}: server.user: expected "{current}" until the next restart,'
                f' found "{new}"'
            )

    def _report_failed_reload(self, problems: Sequence[str]) -> None:
        self._state.reloaded(problems)
        for problem in problems:
            _log.error("reload failed", problem=problem)
            self._ledger.notice("reload failed", problem)
        self._listeners.close_unused([pool.config for pool in self._generations.active])
        systemd.notify(systemd.READY)

    def _maintain_starting(self, pool: WorkerPool, now: float) -> None:
        try:
            pool.maintain(now)
        except PoolError as error:
            if self._generations.serving is None:
                raise
            self._generations.abandon_start(now)
            self._report_failed_reload(str(error).splitlines())
            return
        if pool.complete:
            self._take_over(pool, now)

    def _take_over(self, pool: WorkerPool, now: float) -> None:
        is_reload = self._generations.serving is not None
        self._generations.promote(now)
        if is_reload:
            self._web.use(pool.config, self._listeners.web(pool.config), pool.contents, now)
            self._listeners.close_unused([pool.config])
            configure_log(pool.config.log, pool.config.log_file)
            self._ledger.use(pool.config, now)
            self._ledger.notice("reloaded")
            self._state.open(pool.config.data_dir)
            self._state.reloaded()
            _log.info("reloaded", **_serving_fields(pool))
            _warn_of_root_files(pool)
        else:
            _print_ready([*pool.listeners, *self._web.listeners])
            self._ledger.notice("started", __version__)
            _log.info("started", **_serving_fields(pool))
        log_system_warnings(pool.config, self._file)
        systemd.notify(systemd.READY)

    def _stop(self, now: float) -> None:
        systemd.notify(systemd.STOPPING)
        if self._generations.serving is not None:
            _log.info("stopping")
            self._ledger.notice("stopping")
        self._web.stop()
        self._listeners.close_unused(())
        self._generations.stop(now)


def _end_by(number: int) -> None:
    """Raise a signal, even if the process was started with the signal ignored, as by `&`."""
    if signal.getsignal(number) is signal.SIG_IGN:
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, default)
    signal.raise_signal(number)


def _addresses(listeners: Sequence[Listener]) -> list[str]:
    return [f"{one.protocol}={one.address}" for one in listeners]


def _print_ready(listeners: Sequence[Listener]) -> None:
    sys.stderr.write(f"gatepost: ready {' '.join(_addresses(listeners))}\n")
    sys.stderr.flush()


def _serving_fields(pool: WorkerPool) -> dict[str, Any]:
    """Return the addresses, version and build of the workers, and another supervisor's version."""
    version, build = next(((one.version, one.build) for one in pool), (__version__, ""))
    fields = {} if version == __version__ else {"supervisor_version": __version__}
    return {"listen": _addresses(pool.listeners), "version": version, "build": build, **fields}


def _warn_of_root_files(pool: WorkerPool) -> None:
    for path in pool.contents:
        _log.warning("certificate reload skipped", path=str(path))
