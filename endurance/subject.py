"""The server under test, in a separate process and a separate folder."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Self

from bench.process import POLL, BenchError, Starting, stop
from bench.servers import GATEPOST

from bench import proc

if TYPE_CHECKING:
    import random
    from pathlib import Path

READY = re.compile(rb"^gatepost: ready .*\bsmtp=.*$", re.MULTILINE)
_PORT = re.compile(rb"\bsmtp=127\.0\.0\.1:(\d+)")


WORKER, LEDGER = "gatepost-worker", "gatepost-ledger"
# How often the ledger process is killed together with a worker.
LEDGER_SHARE = 0.3


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Subject:
    """A server with the configuration `config`, which is written to `folder`.

    `ports` are those of its SMTP listeners and `port` is the first, once it runs. The server can be
    killed and started again; they then change unless the configuration names them. `env` is added
    to its environment.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self.file = folder / "gatepost.toml"
        self.file.write_text(config)
        self.port = 0
        self.ports: list[int] = []
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections; raise `BenchError` if it ends first."""
        log = self.folder / "log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [str(GATEPOST), "serve", "-c", str(self.file)],
                env=os.environ | self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        starting = Starting("gatepost", self._child, log)
        while not (ready := READY.search(log.read_bytes()[before:])):
            starting.check()
            time.sleep(POLL)
        self.ports = [int(port) for port in _PORT.findall(ready[0])]
        self.port = self.ports[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._child is not None:
            stop(self._child)

    @property
    def pid(self) -> int:
        """Return the process id of the supervisor; raise `BenchError` if it was never started."""
        if self._child is None:
            raise BenchError("not started")
        return self._child.pid

    def workers(self) -> list[int]:
        """Return the process ids of the current workers."""
        return self._running(WORKER)

    def _running(self, name: str) -> list[int]:
        """Return the process ids of the processes with this name."""
        tree = proc.descendants(self.pid, proc.all_stats())
        return [stat.pid for stat in tree if proc.name(stat.pid) == name]

    def reload(self) -> None:
        """Reload the configuration, which replaces all workers."""
        os.kill(self.pid, signal.SIGHUP)

    def kill_worker(self, chance: random.Random) -> bool:
        """Kill any worker, and sometimes the ledger process; return whether there was a worker."""
        workers = self.workers()
        if chance.random() < LEDGER_SHARE:
            for pid in self._running(LEDGER):
                _kill(pid)
        if workers:
            _kill(chance.choice(workers))
        return bool(workers)

    def kill(self) -> None:
        """Kill all its processes with SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def memory(self) -> int:
        """Return the memory of all its processes in octets, with shared pages counted once."""
        with contextlib.suppress(OSError, IndexError, KeyError):  # a process has just ended
            return proc.memory(self.pid).pss
        return 0
