"""The start of the supervisor's children: as forks, or as new interpreters after an upgrade.

A fork has everything imported, so it starts at once and shares the memory of the code. A module
with a function `run(given, descriptor)` is the code of a child.
"""

from collections.abc import Collection
from typing import Protocol

from gatepost._imports import import_fast
from gatepost.config.schema import Config
from gatepost.delivery import registry as delivery
from gatepost.process.fork import can_fork, fork_module
from gatepost.process.interpreter import start_module
from gatepost.process.loaded_code import LoadedCode
from gatepost.queue.on_demand import MODULE as QUEUE
from gatepost.store import opening as store


class Child(Protocol):
    """A child process; the methods are those of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while the process runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; raises `subprocess.TimeoutExpired`."""
        ...

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...


class StartChild(Protocol):
    """Starts a child; raises OSError. Only `descriptor` and `inherited` are open in it."""

    def __call__(
        self, module: str, given: object, descriptor: int, inherited: Collection[int] = ()
    ) -> Child:
        """Run `run(given, descriptor)` of a module."""
        ...


class ChildStarter:
    """Starts children of this process, which imports the module that most of them run."""

    def __init__(self, module: str) -> None:
        import_fast(module)
        self._code: LoadedCode | None = None

    def import_parts(self, config: Config) -> None:
        """Import the parts of Gatepost that the workers of a configuration need.

        Plugins are not among them, nor targets of other packages: that code runs in workers only.
        """
        queue = {QUEUE} if any(route.mode == "queue" for route in config.route) else set()
        parts = delivery.modules_of(config.route) | store.modules_of(config.store.url) | queue
        for module in parts:
            import_fast(module)

    def notice_upgrades(self) -> None:
        """Start children as new interpreters if the installed code changes from now on."""
        self._code = self._code or LoadedCode()

    def __call__(
        self, module: str, given: object, descriptor: int, inherited: Collection[int] = ()
    ) -> Child:
        """Run `run(given, descriptor)` of a module; raises OSError."""
        is_current = self._code is None or self._code.is_installed()
        start = fork_module if can_fork() and is_current else start_module
        return start(module, given, descriptor, inherited)
