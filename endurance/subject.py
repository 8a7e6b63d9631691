"""The server that is put to the test: a process of its own in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.process import POLL, Starting, process
from bench.servers import GATEPOST

from bench import proc

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

READY = re.compile(rb"^gatepost: ready .*?\bsmtp=127\.0\.0\.1:(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Subject:
    """A running server: the supervisor's `pid`, the `port` it listens on, its `folder`."""

    pid: int
    port: int
    folder: Path

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

    def memory(self) -> int:
        """Return the octets of memory of all its processes, shared pages counted once."""
        with contextlib.suppress(OSError, IndexError, KeyError):  # one that ends just now
            return proc.memory(self.pid).pss
        return 0


@contextlib.contextmanager
def serving(folder: Path, config: str) -> Iterator[Subject]:
    """Serve as `config` says, which is written to the folder."""
    file = folder / "gatepost.toml"
    file.write_text(config)
    argv = [str(GATEPOST), "serve", "-c", str(file)]
    with process("gatepost", argv, os.environ, folder / "log") as starting:
        yield Subject(starting.child.pid, _port(starting), folder)


def _port(starting: Starting) -> int:
    while not (ready := READY.search(starting.log.read_bytes())):
        starting.check()
        time.sleep(POLL)
    return int(ready[1])
