"""A store that may fail, with limits on the effect of its failures.

During an outage (`gatepost.store.breaker`) operations fail at once, so that sessions do not wait.
Limits continue: counters and token buckets work on a local store in the memory of the worker,
which is dropped when the outage ends. Other operations have no local answer, and their result is
the error. The log has one line when an outage begins and one when it ends.

A store that can be read and not written is unavailable too, such as one on a full disk or a
read-only replica. Successful reads do not end an outage in which writes have failed; they go on.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from gatepost.log.logger import get_logger
from gatepost.store.backend import Backend, Result
from gatepost.store.breaker import Breaker
from gatepost.store.errors import StoreError
from gatepost.store.memory import MemoryBackend
from gatepost.store.operations import AnyOperation, Incr, Take, read_only
from gatepost.store.quota import LOCAL_QUOTA

# Operations whose local result is a useful limit.
_LOCAL = (Incr, Take)

# A single lost connection is repaired by the next attempt. Five failures in a row are an outage.
FAILURES = 5
# Seconds: the store is used again soon after its restart, and an attempt that times out is rare.
PAUSE = 2.0

_log = get_logger("gatepost.store")


class StoreStatistics(msgspec.Struct):
    """Counts since the start of the worker.

    `operations` are all, `failed` those without a result from the store, `local` those of them that
    the local store has answered. `outages` are those that the log reports.
    """

    operations: int = 0
    failed: int = 0
    local: int = 0
    outages: int = 0


class GuardedBackend:
    """A backend that raises no `StoreError`: each operation has a result or its own error.

    `name` is the store in the log. `clock` returns seconds since the epoch, `monotonic` seconds.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        name: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._name = name
        self._clock = clock
        self._monotonic = monotonic
        self._breaker = Breaker(FAILURES, PAUSE)
        self._local: MemoryBackend | None = None
        self._began = 0.0
        # Of the failures in a row: whether a write is among them, and whether reads succeed again.
        self._writes_fail = self._reads_work = False
        self.statistics = StoreStatistics()

    @property
    def is_degraded(self) -> bool:
        """Return whether the store is unavailable and limits count locally."""
        return self._breaker.is_open

    async def execute(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        """See `Backend.execute`."""
        self.statistics.operations += len(operations)
        if self._is_paused(operations):
            error = StoreError(f"{self._name}: unavailable, the next attempt is due soon")
            return await self._without_store(namespace, operations, error)
        try:
            results = await self._backend.execute(namespace, operations)
        except StoreError as error:
            self._failed(error, operations)
            return await self._without_store(namespace, operations, error)
        if self._breaker.failures:
            self._succeeded(operations)
        return results

    def _is_paused(self, operations: Sequence[AnyOperation]) -> bool:
        if self._reads_work and read_only(operations):
            return False
        return not self._breaker.allows(self._monotonic())

    def _failed(self, error: StoreError, operations: Sequence[AnyOperation]) -> None:
        if read_only(operations):
            self._reads_work = False
        else:
            self._writes_fail = True
        now = self._monotonic()
        if self._breaker.failed(now):
            self._began = now
            self.statistics.outages += 1
            _log.error("store unavailable", store=self._name, error=str(error))

    def _succeeded(self, operations: Sequence[AnyOperation]) -> None:
        if self._writes_fail and read_only(operations):
            self._reads_work = True
            return
        self._writes_fail = self._reads_work = False
        self._local = None
        if self._breaker.succeeded():
            seconds = round(self._monotonic() - self._began, 1)
            _log.warning("store available", store=self._name, seconds=seconds)

    async def _without_store(
        self, namespace: str, operations: Sequence[AnyOperation], error: StoreError
    ) -> list[Result]:
        self.statistics.failed += len(operations)
        return [
            await self._locally(namespace, one) if isinstance(one, _LOCAL) else error
            for one in operations
        ]

    async def _locally(self, namespace: str, operation: AnyOperation) -> Result:
        local = self._local
        if local is None:
            local = self._local = MemoryBackend(clock=self._clock, quota=LOCAL_QUOTA)
        self.statistics.local += 1
        (result,) = await local.execute(namespace, [operation])
        return result

    async def start(self) -> None:
        """See `Backend.start`."""
        await self._backend.start()

    async def close(self) -> None:
        """See `Backend.close`."""
        await self._backend.close()
