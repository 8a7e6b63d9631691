"""The process of the dashboard, as the supervisor has it: started, replaced, stopped.

The supervisor owns the listening socket: while the process is replaced, browsers wait in its
backlog.
"""

import msgspec

from gatepost.config.schema import Config
from gatepost.net.tls import Contents
from gatepost.process.ledger_process import is_needed
from gatepost.process.listeners import Listener
from gatepost.process.side_process import Code, SideProcess, Task
from gatepost.process.start import StartChild

CODE = Code(
    "gatepost.web.main", "dashboard start failed", "dashboard exited", "dashboard did not stop"
)


class WebArguments(msgspec.Struct, frozen=True):
    """The input of the process.

    `contents` are the files that it cannot read itself, `ledger` is the descriptor of the socket to
    the ledger process, -1 without one.
    """

    config: Config
    contents: Contents
    ledger: int = -1


class WebProcess:
    """The process of one server; `ledger` is the descriptor that it sends records to."""

    def __init__(self, start: StartChild, ledger: int) -> None:
        self._process = SideProcess(start, CODE)
        self._ledger = ledger
        self._arguments: WebArguments | None = None
        self._listener: Listener | None = None

    @property
    def listeners(self) -> list[Listener]:
        """The listener, if there is a dashboard."""
        return [] if self._listener is None else [self._listener]

    def use(
        self, config: Config, listener: Listener | None, contents: Contents, now: float
    ) -> None:
        """Use a configuration from now on; a process that needs another one is ended.

        `listener` is the open listener, None without a dashboard. `maintain` starts the next one.
        """
        ledger = self._ledger if is_needed(config) else -1
        arguments = WebArguments(config, contents, ledger)
        changed = arguments != self._arguments
        self._arguments, self._listener = arguments, listener
        self._process.start_soon()
        if self._process.running and changed:
            self._process.replace(now)

    def maintain(self, now: float) -> None:
        """Start the process if it is needed and does not run."""
        self._process.maintain(now, self._task())

    def _task(self) -> Task | None:
        if self._arguments is None or self._listener is None:
            return None
        inherited = [self._ledger] if self._arguments.ledger >= 0 else []
        return Task(self._arguments, self._listener.sockets[0].fileno(), inherited)

    def stop(self) -> None:
        """Ask the process to end; none is started from now on."""
        self._listener = None
        self._process.terminate()

    def close(self) -> None:
        """End the process, and wait for its end."""
        self.stop()
        self._process.wait()
