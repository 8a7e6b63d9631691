"""CPU time and memory of a process and its descendants, from /proc.

Trusts: proc(5). Limits: Linux only; CPU time comes in clock ticks (10 ms), so a round must be long
enough to make a tick small.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TICK = 1 / os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
# A server is idle if it uses at most one tick in this time, in seconds. Records are sent to the
# ledger every 0.1 s.
SETTLE = 0.25
SETTLE_TIMEOUT = 5.0


@dataclass(frozen=True)
class Stat:
    """One line of /proc/PID/stat: the parent, and CPU seconds with those of reaped children."""

    pid: int
    parent: int
    cpu: float


@dataclass(frozen=True)
class Memory:
    """Bytes of memory of a process tree: resident, and with shared pages divided by their users."""

    rss: int
    pss: int


def parse_stat(line: str) -> Stat:
    """Parse a /proc/PID/stat line; the command name may contain blanks and parentheses."""
    pid, rest = line.split(" ", 1)
    fields = rest[rest.rindex(")") + 2 :].split()  # from field 3, the state
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return Stat(int(pid), int(fields[1]), ticks * TICK)


def command(pid: int) -> list[str]:
    """Return the command line of a process, empty if it has exited."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def name(pid: int) -> str:
    """Return the name of a process, empty if it has exited."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def parse_memory(text: str) -> Memory:
    """Parse the Rss and Pss lines of /proc/PID/smaps_rollup (in kB)."""
    rows = (line.split() for line in text.splitlines()[1:])
    sizes = {row[0]: int(row[1]) * 1024 for row in rows}
    return Memory(sizes["Rss:"], sizes["Pss:"])


def descendants(root: int, stats: Iterable[Stat]) -> list[Stat]:
    """Return a process and its descendants; the stats may have any order."""
    everyone = list(stats)
    tree = [stat for stat in everyone if stat.pid == root]
    for member in tree:  # grows while it is walked
        tree += [stat for stat in everyone if stat.parent == member.pid]
    return tree


def all_stats() -> Iterator[Stat]:
    """Yield the stat of every process that exists when it is read."""
    for path in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield parse_stat(path.read_text())


def cpu_seconds(root: int) -> float:
    """Return user and system seconds used so far by a process tree."""
    return sum(stat.cpu for stat in descendants(root, all_stats()))


def settled_cpu_seconds(root: int) -> float:
    """Wait until a process tree is idle, at most SETTLE_TIMEOUT, and return what it has used."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    used, before = cpu_seconds(root), -1.0
    while used - before > TICK and time.monotonic() < deadline:
        time.sleep(SETTLE)
        used, before = cpu_seconds(root), used
    return used


def run_time(pid: int) -> float:
    """Return the seconds that a process has run so far, exactly; 0 if it has exited."""
    total = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for path in (PROC / str(pid) / "task").iterdir():
            total += int((path / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(root: int) -> Memory:
    """Return the memory of a process tree; raise PermissionError for that of another user."""
    pids = [stat.pid for stat in descendants(root, all_stats())]
    parts = [parse_memory((PROC / str(pid) / "smaps_rollup").read_text()) for pid in pids]
    return Memory(sum(part.rss for part in parts), sum(part.pss for part in parts))
