"""The background work of one plugin: coroutines, and methods that are called periodically.

Theory of operation
-------------------
Each job is a task. A failure is logged and ends a coroutine, but not the calls of a periodic
method. Periods are counted from the epoch: with "5m" a method is called at 12:00, 12:05 and so on.
So all workers and machines agree on the number of a period, and the first worker that adds it to
the store does the work of a job for one worker. A method that takes longer than its period is
called again at the start of the next one.

Limits: MOST coroutines at the same time. At the end of the server a job has STOP_TIMEOUT seconds to
end after it was cancelled. While the store is unavailable no job for one worker is called.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from gatepost.config.units import UnitError, parse_duration
from gatepost.plugin import trouble
from gatepost.plugin.clock import Clock
from gatepost.plugin.continuation import Exit, contained
from gatepost.store.errors import StoreError
from gatepost.store.keys import MAX_TTL
from gatepost.store.store import Store

MOST = 100
STOP_TIMEOUT = 5.0
# Seconds. A shorter period is a loop, which belongs into a coroutine.
SHORTEST = 1.0
# Workers spread over this share of a period, so that they do not all act at the same moment.
SPREAD = 0.1

Claim = Callable[[int], Awaitable[bool]]


class _Periodic(NamedTuple):
    """A method that is called in each period, in seconds. Without `claim` all workers call it."""

    plugin: str
    name: str
    clock: Clock
    period: float
    method: Callable[[], Any]
    claim: Claim | None

    @property
    def next_number(self) -> int:
        """The number of the next period."""
        return int(self.clock.time() // self.period) + 1


class Jobs:
    """The jobs of a plugin. `claims` is the store in which workers agree on who does the work.

    The functions in `at_stop` are called when all jobs have been cancelled.
    """

    def __init__(self, claims: Store) -> None:
        self.claims = claims
        self.at_stop: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._called = 0
        self._none_called = asyncio.Event()
        self._none_called.set()

    def run(self, plugin: str, work: Coroutine[Any, Any, Any], name: str = "") -> None:
        """Run a coroutine; raises RuntimeError without an event loop, or if MOST run already."""
        if not inspect.iscoroutine(work):
            raise TypeError(f"expected a coroutine, found {type(work).__name__}")
        name = name or work.__name__
        problem = self._problem()
        if problem:
            work.close()
            raise RuntimeError(f"{name} cannot run in the background: {problem}")
        task = asyncio.create_task(_supervised(plugin, name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # If the task was cancelled before it began, the coroutine has never been awaited.
        task.add_done_callback(lambda _: work.close())

    def _problem(self) -> str:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return "no event loop runs, call it in start() or in a hook"
        return f"{MOST} jobs run already" if len(self._tasks) >= MOST else ""

    def call_every(
        self,
        plugin: str,
        clock: Clock,
        period: str | float,
        method: Callable[[], Any],
        *,
        one_worker: bool,
    ) -> None:
        """Call a method once in each period; raises ValueError for a period that is too short."""
        seconds = _seconds(period)
        name = getattr(method, "__name__", type(method).__name__)
        claim = self._claim(f"{plugin} {name} {seconds:g}", seconds) if one_worker else None
        periodic = _Periodic(plugin, name, clock, seconds, method, claim)
        self.run(plugin, self._call_every(periodic, periodic.next_number), name)

    async def _call_every(self, job: "_Periodic", number: int) -> None:
        """Call the method in each period; `number` is that of the first."""
        while True:
            await job.clock.wait_until(number * job.period, spread=job.period * SPREAD)
            self._called += 1
            self._none_called.clear()
            try:
                if job.claim is None or await job.claim(number):
                    await _supervised(job.plugin, job.name, _call(job.method))
            finally:
                self._called -= 1
                if not self._called:
                    self._none_called.set()
            number = job.next_number

    def _claim(self, job: str, period: float) -> Claim:
        """Return a function that returns whether this worker does the work of a period."""

        async def claim(number: int) -> bool:
            try:
                return await self.claims.add(f"{job} {number}", ttl=min(2 * period, MAX_TTL))
            except StoreError:
                return False

        return claim

    async def settle(self) -> None:
        """Wait until no periodic method is being called."""
        await self._none_called.wait()

    async def stop(self, plugin: str) -> None:
        """Cancel all jobs, and wait until they have ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        while self.at_stop:
            self.at_stop.pop()()
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
        for task in pending:
            error = TimeoutError(f"the job has not ended within {STOP_TIMEOUT:g} s")
            trouble.failed(plugin, task.get_name(), error, ())


def _seconds(period: str | float) -> float:
    """Return a period in seconds; raises ValueError."""
    try:
        seconds = parse_duration(period)
    except UnitError as error:
        raise ValueError(f"every: {error}") from error
    if seconds < SHORTEST:
        raise ValueError(f'every: expected a period of at least "1s", found {period!r}')
    return seconds


async def _call(method: Callable[[], Any]) -> None:
    result = method()
    if inspect.isawaitable(result):
        await result


async def _supervised(plugin: str, name: str, work: Coroutine[Any, Any, Any]) -> None:
    """Await a job; log its failure."""
    try:
        result = await contained(work)
        error = result.error if isinstance(result, Exit) else None
    except Exception as raised:  # noqa: BLE001 - the other jobs go on
        error = raised
    if error is not None:
        trouble.failed(plugin, name, error, ())
