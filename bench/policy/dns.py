"""The DNS of the bench: NSD has the zones, and Unbound in front of it is asked by every server.

The DNS lists are zones of NSD too. Both programs are counted apart from the servers.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tools import nsd, peers, unbound

from bench import proc
from bench.policy import senders
from bench.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def resolver(folder: Path) -> Iterator[int]:
    """Run both programs with their files in a folder; yield the port of the resolver."""
    zones = senders.zones()
    try:
        with (
            nsd.running(folder, zones) as authority,
            unbound.running(folder, dict.fromkeys(zones, authority)) as port,
        ):
            yield port
    except (peers.UnavailableError, RuntimeError) as error:
        raise BenchError(f"no DNS: {error}") from error


def programs(folder: Path) -> list[int]:
    """Return the processes at the top of the programs with their files in a folder."""
    mine = {stat.pid: stat.parent for stat in proc.all_stats() if _is_below(folder, stat.pid)}
    return [pid for pid, parent in mine.items() if parent not in mine]


def _is_below(folder: Path, pid: int) -> bool:
    return any(word.startswith(f"{folder}/") for word in proc.command(pid))
