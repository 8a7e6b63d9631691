"""The ledger process, as the supervisor has it: started, replaced when it exits, stopped last.

The sockets belong to the supervisor, so what workers have sent waits there while the process is
replaced. Mail does not depend on it.
"""

import os
import socket
import time

from gatepost.config.schema import Config
from gatepost.ledger.link import NoticeSender, socket_pair
from gatepost.ledger.records import Notice
from gatepost.process.side_process import Code, SideProcess, Task
from gatepost.process.start import StartChild

CODE = Code(
    "gatepost.process.ledger_main", "ledger start failed", "ledger exited", "ledger did not stop"
)


def is_needed(config: Config) -> bool:
    """Return whether a configuration needs the process."""
    return config.ledger.enabled or bool(config.metrics.listen) or bool(config.webhook)


class LedgerProcess:
    """The process of one server; `sender` is the descriptor that workers inherit."""

    def __init__(self, start: StartChild) -> None:
        self._process = SideProcess(start, CODE, self._record_exit)
        self._reader, self._sender = socket_pair()
        self._config: Config | None = None
        self._has_input = False  # the server has started, so that workers send
        self._notices = NoticeSender(self._sender, f"supervisor-{os.urandom(4).hex()}")

    @property
    def sender(self) -> socket.socket:
        """The socket that workers send to."""
        return self._sender

    def use(self, config: Config, now: float) -> None:
        """Use a configuration from now on; a process that needs another one is ended.

        `maintain` starts the next one.
        """
        before, self._config = self._config, config
        self._process.start_soon()
        if self._process.running and not _same(before, config):
            self._process.replace(now)

    def maintain(self, now: float) -> None:
        """Start the process if it is needed and does not run."""
        self._process.maintain(now, self._task())

    def _task(self) -> Task | None:
        if self._config is None or not is_needed(self._config):
            return None
        return Task(self._config, self._reader.fileno())

    def _record_exit(self, status: str) -> None:
        self.notice("ledger process exited", f"{status}; records of up to a second are missing")

    def notice(self, name: str, detail: str = "", about: str = "") -> None:
        """Record an event of the server; it is lost if the socket is full."""
        if self._config is None or not is_needed(self._config):
            return
        self._has_input = True
        self._notices.send(Notice(time.time(), name, detail, about))

    def close(self, now: float) -> None:
        """Let the process write what was sent, after all workers have exited.

        It ends when it finds that no sender is left. If none runs, one is started for that.
        """
        task = self._task() if self._has_input and not self._process.running else None
        if task is not None:
            self._process.start(now, task)
        self._sender.close()
        self._process.wait()
        self._reader.close()


def _same(one: Config | None, other: Config) -> bool:
    return one is not None and all(
        getattr(one, table) == getattr(other, table)
        for table in ("ledger", "webhook", "metrics", "log", "server")
    )
