"""The worker pools of the supervisor: one for each configuration in use.

`starting` is the pool of the first start or of a reload. It becomes `serving` when all of its
workers are ready, and only then the pool before it retires. Both accept from the same sockets in
the meantime, so no connection is refused. A retired pool exists until its sessions have ended.
"""

from collections.abc import Iterator

from gatepost.process.control import MessageKind
from gatepost.process.pool import WorkerPool
from gatepost.process.worker import WorkerProcess

# Seconds beyond `stop_timeout` that a worker has to clean up before it is killed.
GRACE = 5.0
# The limit of pools that retire at the same time. Without it, frequent reloads and long sessions
# would accumulate processes.
MAX_RETIRED = 4


class Generations:
    """All pools. `stopping` is true after `stop`."""

    def __init__(self) -> None:
        self.serving: WorkerPool | None = None
        self.starting: WorkerPool | None = None
        self.retired: list[WorkerPool] = []
        self.stopping = False

    def __iter__(self) -> Iterator[WorkerPool]:
        """Yield every pool that has workers."""
        yield from self.active
        yield from self.retired

    @property
    def active(self) -> list[WorkerPool]:
        """Return the pools that have not retired."""
        return [pool for pool in (self.serving, self.starting) if pool is not None]

    @property
    def workers(self) -> Iterator[WorkerProcess]:
        """Yield every worker process."""
        return (process for pool in self for process in pool)

    @property
    def finished(self) -> bool:
        """Return whether all workers have exited after `stop`."""
        return self.stopping and not self.retired

    def start(self, pool: WorkerPool, now: float) -> None:
        """Make a pool the next one, instead of one that is still starting."""
        self.abandon_start(now)
        self.starting = pool

    def abandon_start(self, now: float) -> None:
        """Stop the pool that is starting, if there is one."""
        if self.starting is not None:
            pool, self.starting = self.starting, None
            self._retire(pool, MessageKind.STOP, now)

    def promote(self, now: float) -> None:
        """Make the starting pool the serving one, and retire the pool that served before."""
        before, self.serving, self.starting = self.serving, self.starting, None
        if before is not None:
            self._retire(before, MessageKind.RETIRE, now)

    def _retire(self, pool: WorkerPool, kind: MessageKind, now: float) -> None:
        pool.stop(kind, now)
        self.retired.append(pool)
        for old in self.retired[:-MAX_RETIRED]:
            old.stop(MessageKind.STOP, old.stopped_at or now)

    def stop(self, now: float) -> None:
        """Stop all pools."""
        self.stopping = True
        self.retired = list(self)
        self.serving = self.starting = None
        for pool in self.retired:
            pool.stop(MessageKind.STOP, now)

    def maintain_retired(self, now: float) -> None:
        """Kill the workers of retired pools that exceed their time; drop pools without workers."""
        for pool in self.retired:
            pool.maintain(now)
            assert pool.stopped_at is not None
            if now - pool.stopped_at > self._patience(pool):
                pool.kill()
        self.retired = [pool for pool in self.retired if not pool.empty]

    def _patience(self, pool: WorkerPool) -> float:
        """Return the seconds until a pool is killed; a pool that retires waits twice."""
        waits = 1 if self.stopping else 2
        return pool.config.server.stop_timeout * waits + GRACE

    def kill(self) -> None:
        """Kill all workers."""
        for pool in self:
            pool.kill()
