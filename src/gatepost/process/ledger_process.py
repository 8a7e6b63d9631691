"""The ledger process, as the supervisor sees it: started, replaced when it exits, stopped last.

The sockets belong to the supervisor, so what workers have sent waits there while the process is
replaced. Mail does not depend on it.
"""

import os
import socket
import subprocess
import time
from contextlib import suppress

from gatepost.config.schema import Config
from gatepost.ledger.link import Batch, encode_batch, socket_pair
from gatepost.ledger.records import Notice, encode
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.process.interpreter import describe_exit, start_module
from gatepost.process.pool import FIRST_DELAY, LONGEST_DELAY, STABLE

# How long the process may take to write what workers have sent, in seconds.
STOP_TIMEOUT = 10.0

_log = get_logger("gatepost.supervisor")


def is_needed(config: Config) -> bool:
    """Return whether a configuration needs the process."""
    return config.ledger.enabled or bool(config.metrics.listen)


class LedgerProcess:
    """The process of one server; `sender` is the descriptor that workers inherit."""

    def __init__(self) -> None:
        self._reader, self._sender = socket_pair()
        self._config: Config | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._delay = 0.0
        self._since = 0.0
        self._notices = 0
        self._source = f"supervisor-{os.urandom(4).hex()}"

    @property
    def sender(self) -> socket.socket:
        """The socket that workers send to."""
        return self._sender

    def use(self, config: Config, now: float) -> None:
        """Run with a configuration; a running process is replaced if it needs another one."""
        before, self._config = self._config, config
        self._delay = 0.0
        if self._popen is not None and not _same(before, config):
            self._replace(now)
        self.maintain(now)

    def maintain(self, now: float) -> None:
        """Start the process if it is needed and does not run."""
        if self._popen is not None and self._popen.poll() is not None:
            self._exited(self._popen, now)
        due = now - self._since >= self._delay
        if self._popen is None and due and self._config is not None and is_needed(self._config):
            self._start(self._config, now)

    def _start(self, config: Config, now: float) -> None:
        self._since = now
        try:
            self._popen = start_module(
                "gatepost.process.ledger_main", config, self._reader.fileno()
            )
        except OSError as error:
            self._lengthen_delay(now)
            problem = describe_os_error(error)
            _log.error("ledger start failed", problem=problem, restart_in=self._delay)

    def _exited(self, popen: "subprocess.Popen[bytes]", now: float) -> None:
        self._popen = None
        self._lengthen_delay(now)
        status = describe_exit(popen.returncode)
        _log.error("ledger exited", pid=popen.pid, status=status, restart_in=self._delay)
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
        record = encode(Notice(time.time(), name, detail, about))
        with suppress(OSError):
            self._sender.send(encode_batch(Batch(self._source, self._notices, 0, [record])))
        self._notices += 1

    def _replace(self, now: float) -> None:
        """End the process; what it has not read stays in the socket for the next one."""
        popen, self._popen = self._popen, None
        self._since = now
        if popen is not None:
            popen.terminate()
            _wait(popen)

    def close(self, now: float) -> None:
        """Let the process write what was sent, after all workers have exited.

        It ends when it finds that no sender is left. One that was killed is started for that.
        """
        if self._config is not None and is_needed(self._config) and self._popen is None:
            self._start(self._config, now)
        self._sender.close()
        if self._popen is not None:
            _wait(self._popen)
        self._reader.close()


def _wait(popen: "subprocess.Popen[bytes]") -> None:
    try:
        popen.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        _log.error("ledger did not stop", pid=popen.pid, timeout=STOP_TIMEOUT)
        popen.kill()
        popen.wait()


def _same(one: Config | None, other: Config) -> bool:
    return one is not None and all(
        getattr(one, table) == getattr(other, table)
        for table in ("ledger", "metrics", "log", "server")
    )
