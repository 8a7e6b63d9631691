"""A Redis for a peer, which keeps nothing on disk."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from tools import daemon, peers
from tools.daemon import HOST, free_port

from bench.process import POLL, BenchError, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "redis-server"


class Redis(NamedTuple):
    """Its process and its port on the loopback address."""

    pid: int
    port: int


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """Run a Redis with its log in a folder."""
    command = peers.find(NAME)
    if command is None:
        raise BenchError(f"redis is missing: {peers.missing([NAME])[NAME]}")
    port = free_port()
    argv = command.argv("--bind", HOST, "--port", str(port), "--save", "", "--dir", folder)
    with process(NAME, argv, command.env, folder / "redis.log") as starting:
        while not daemon.accepts(port):
            starting.check()
            time.sleep(POLL)
        yield Redis(starting.child.pid, port)
