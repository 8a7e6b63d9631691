"""The server that is put to the test: a process of its own in a folder of its own."""

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

READY = re.compile(rb"^gatepost: ready .*?\bsmtp=127\.0\.0\.1:(\d+)", re.MULTILINE)


class Subject:
    """A server that serves as `config` says, which is written to `folder`; `port` once it runs.

    It can be killed and started again: `port` changes unless the configuration names one. `env` is
    added to its environment.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self.file = folder / "gatepost.toml"
        self.file.write_text(config)
        self.port = 0
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections; raises `BenchError` if it ends first."""
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
        self.port = int(ready[1])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._child is not None:
            stop(self._child)

    @property
    def pid(self) -> int:
        """The supervisor's process id; raises `BenchError` if it was never started."""
        if self._child is None:
            raise BenchError("not started")
        return self._child.pid

    def workers(self) -> list[int]:
        """Return the process ids of the workers there are now."""
        tree = proc.descendants(self.pid, proc.all_stats())
        return [stat.pid for stat in tree if stat.pid != self.pid]

    def reload(self) -> None:
        """Have all workers replaced."""
        os.kill(self.pid, signal.SIGHUP)

    def kill_worker(self, chance: random.Random) -> bool:
        """Kill a worker, whichever; return whether there was one."""
        workers = self.workers()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
        return bool(workers)

    def kill(self) -> None:
        """Kill all of it, as a power cut would, but for what the system has in memory."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def memory(self) -> int:
        """Return the octets of memory of all its processes, shared pages counted once."""
        with contextlib.suppress(OSError, IndexError, KeyError):  # one that ends just now
            return proc.memory(self.pid).pss
        return 0
