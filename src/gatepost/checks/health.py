"""The health of a server on this machine, from its files: what `gatepost status` shows.

The supervisor writes the state (`gatepost.process.state`), the ledger process a report of the
workers (`gatepost.metrics.report`), and the spool is read directly. The result is complete without
the report, apart from sessions and the warnings of workers.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.metrics.gauges import STATES
from gatepost.metrics.report import STALE, Report, about, read_report
from gatepost.process.state import State, is_running, read_state
from gatepost.queue.spool import admin
from gatepost.queue.spool.depth import Depth
from gatepost.queue.spool.sql.schema import VersionError

# The disk is nearly full below this share and this size.
FREE_SHARE = 0.05
FREE_SIZE = 1 << 30


class WorkerHealth(msgspec.Struct, frozen=True):
    """A worker process; `sessions` is None without the report of the ledger process.

    `configured` and `retiring` are those of its `WorkerState`.
    """

    pid: int
    ready: bool
    sessions: int | None = None
    configured: float = 0.0
    retiring: bool = False

    @property
    def state(self) -> str:
        """Return its state in a word."""
        return "retiring" if self.retiring else "ready" if self.ready else "not ready"


class QueueHealth(msgspec.Struct, frozen=True):
    """Queued recipients by state; `oldest` is the age of the oldest queued message in seconds.

    `quarantined` is the number of messages in quarantine, whose recipients are not in `held`.
    """

    active: int
    deferred: int
    held: int
    oldest: float
    quarantined: int = 0


class ServerHealth(msgspec.Struct, frozen=True):
    """Everything about a server. Times are seconds since 1970.

    `problems` keep it from its work, `warnings` need attention, `notes` are about missing data.
    """

    running: bool
    state: State | None
    workers: Sequence[WorkerHealth]
    queue: QueueHealth | None
    problems: Sequence[str]
    warnings: Sequence[str]
    notes: Sequence[str]

    @property
    def level(self) -> str:
        """The state in a word: "well", "warning" or "problem"."""
        return "problem" if self.problems else "warning" if self.warnings else "well"

    @property
    def sessions(self) -> int:
        """The open sessions of all workers, as far as they are reported."""
        return sum(one.sessions or 0 for one in self.workers)


def health_of(config: Config, now: float | None = None) -> ServerHealth:
    """Return the health; raises OSError if the data folder cannot be read by this account."""
    now = time.time() if now is None else now
    running = is_running(config.data_dir)
    state = read_state(config.data_dir) if running else None
    report = read_report(config.data_dir / "ledger" / "status.json") if running else None
    fresh = report if report is not None and now - report.time <= STALE else None
    queue, damage = _queue(config, now)
    warnings = [
        *_of_state(state),
        *(fresh.warnings if fresh else ()),
        *damage,
        *_of_disk(config.data_dir),
    ]
    return ServerHealth(
        running=running,
        state=state,
        workers=_workers(state, fresh),
        queue=queue,
        problems=list(_problems(config, state, running=running)),
        warnings=warnings,
        notes=list(_notes(config, report, now)) if running else (),
    )


def _problems(config: Config, state: State | None, *, running: bool) -> Iterator[str]:
    if not running:
        yield f"not running: no server uses {config.data_dir}"
    elif state is None:
        yield f"{config.data_dir}: the server has not written its state"
    elif not any(one.ready for one in state.workers):
        yield "no worker accepts connections"


def _of_state(state: State | None) -> Iterator[str]:
    if state is None:
        return
    ready = sum(one.ready for one in state.workers)
    if state.stopping:
        yield "the server is stopping"
    elif ready < state.expected:
        yield f"{ready} of {state.expected} workers are ready"
    if state.reload is not None:
        for problem in state.reload.problems:
            yield f"the last reload failed: {problem}"


def _workers(state: State | None, report: Report | None) -> list[WorkerHealth]:
    sessions = {one.pid: one.sessions for one in report.workers} if report else {}
    found = () if state is None else state.workers
    return [
        WorkerHealth(one.pid, one.ready, sessions.get(one.pid), one.configured, one.retiring)
        for one in found
    ]


def _queue(config: Config, now: float) -> tuple[QueueHealth | None, list[str]]:
    """Return the depth of the queue, None if it cannot be read, and the problems."""
    try:
        depth: Depth = admin.depth(config.data_dir / "spool", now)
    except (sqlite3.Error, OSError, VersionError) as error:
        notes = "".join(f": {note}" for note in getattr(error, "__notes__", ()))
        return None, [f"the spool cannot be read{notes}: {error}"]
    age = max(0.0, now - depth.oldest) if depth.oldest else 0.0
    active, deferred, held = map(depth.total, STATES)
    return QueueHealth(active, deferred, held, age, depth.quarantined), []


def _of_disk(folder: Path) -> Iterator[str]:
    try:
        usage = shutil.disk_usage(folder)
    except FileNotFoundError:
        return
    if usage.free < min(usage.total * FREE_SHARE, FREE_SIZE):
        free = format_size(usage.free // (1 << 20) * (1 << 20))
        yield f"{folder}: the disk is nearly full: {free} are free"


def _notes(config: Config, report: Report | None, now: float) -> Iterator[str]:
    missing = "sessions, certificates, lists and the store are not shown"
    if report is None:
        why = "has written no report" if config.ledger.enabled else "is off (ledger.enabled)"
        yield f"the ledger {why}: {missing}"
    elif now - report.time > STALE:
        yield f"the last report of the ledger is {about(now - report.time)} old: {missing}"
