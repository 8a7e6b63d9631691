"""The ledger process, as the supervisor sees it: started, replaced when it exits, stopped last.

The sockets belong to the supervisor, so what workers have sent waits there while the process is
replaced. Mail does not depend on it.
"""

import os
import socket
import time
from contextlib import suppress
from subprocess import TimeoutExpired

from gatepost.config.schema import Config
from gatepost.ledger.link import Batch, encode_batch, socket_pair
from gatepost.ledger.records import Notice, encode
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.process.interpreter import describe_exit
from gatepost.process.pool import FIRST_DELAY, LONGEST_DELAY, STABLE
from gatepost.process.start import Child, StartChild

# The code of the process.
MODULE = "gatepost.process.ledger_main"

# How long the process may take to write what workers have sent, in seconds.
STOP_TIMEOUT = 10.0

_log = get_logger("gatepost.supervisor")


def is_needed(config: Config) -> bool:
    """Return whether a configuration needs the process."""
    return config.ledger.enabled or bool(config.metrics.listen) or bool(config.webhook)


class LedgerProcess:
    """The process of one server; `sender` is the descriptor that workers inherit."""

    def __init__(self, start: StartChild) -> None:
        self._start_child = start
        self._reader, self._sender = socket_pair()
        self._config: Config | None = None
        self._child: Child | None = None
        self._has_input = False  # the server has started, so that workers send
        self._delay = 0.0
        self._since = 0.0
        self._notices = 0
        self._source = f"supervisor-{os.urandom(4).hex()}"

    @property
    def sender(self) -> socket.socket:
        """The socket that workers send to."""
        return self._sender

    def use(self, config: Config, now: float) -> None:
        """Use a configuration from now on; a process that needs another one is ended.

        `maintain` starts the next one.
        """
        before, self._config = self._config, config
        self._delay = 0.0
        if self._child is not None and not _same(before, config):
            self._replace(now)

    def maintain(self, now: float) -> None:
        """Start the process if it is needed and does not run."""
        if self._child is not None and self._child.poll() is not None:
            self._exited(self._child, now)
        due = now - self._since >= self._delay
        if self._child is None and due and self._config is not None and is_needed(self._config):
            self._start(self._config, now)

    def _start(self, config: Config, now: float) -> None:
        self._since = now
        try:
            self._child = self._start_child(MODULE, config, self._reader.fileno())
        except OSError as error:
            self._lengthen_delay(now)
            problem = describe_os_error(error)
            _log.error("ledger start failed", problem=problem, restart_in=self._delay)

    def _exited(self, child: Child, now: float) -> None:
        self._child = None
        self._lengthen_delay(now)
        status = describe_exit(child.poll() or 0)
        _log.error("ledger exited", pid=child.pid, status=status, restart_in=self._delay)
        self.notice("ledger process exited", f"{status}; records of up to a second are missing")

    def _lengthen_delay(self, now: float) -> None:
        stable = now - self._since > STABLE
        self._delay = (
            FIRST_DELAY if stable else min(max(self._delay * 2, FIRST_DELAY), LONGEST_DELAY)
        )
        self._since = now

    def notice(self, name: str, detail: str = "", about: str = "") -> None:
        """Record an event of the server; it is lost if the socket is full."""
        if self._config is None or not is_needed(self._config):
            return
        self._has_input = True
        record = encode(Notice(time.time(), name, detail, about))
        with suppress(OSError):
            self._sender.send(encode_batch(Batch(self._source, self._notices, 0, [record])))
        self._notices += 1

    def _replace(self, now: float) -> None:
        """End the process; what it has not read stays in the socket for the next one."""
        child, self._child = self._child, None
        self._since = now
        if child is not None:
            child.terminate()
            _wait(child)

    def close(self, now: float) -> None:
        """Let the process write what was sent, after all workers have exited.

        It ends when it finds that no sender is left. If none runs, one is started for that.
        """
        needed = self._config if self._has_input and self._child is None else None
        if needed is not None and is_needed(needed):
            self._start(needed, now)
        self._sender.close()
        if self._child is not None:
            _wait(self._child)
        self._reader.close()


def _wait(child: Child) -> None:
    try:
        child.wait(STOP_TIMEOUT)
    except TimeoutExpired:
        _log.error("ledger did not stop", pid=child.pid, timeout=STOP_TIMEOUT)
        child.kill()
        child.wait()


def _same(one: Config | None, other: Config) -> bool:
    return one is not None and all(
        getattr(one, table) == getattr(other, table)
        for table in ("ledger", "webhook", "metrics", "log", "server")
    )
