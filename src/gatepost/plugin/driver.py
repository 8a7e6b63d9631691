"""Start a plugin's coroutine in place, and continue it in a task only if it waits.

Theory of operation
-------------------
Most `async def` methods return without having waited: the answer is in a cache, or there is nothing
to do. A task for each would cost several times as much as the method. So `Driver.start` runs a
coroutine up to the first point where it waits. If there is none, its result is there.

Code in a coroutine expects a current task: asyncio.timeout, for example, cancels it later. So a
spare task is prepared, and is the current one while the coroutine starts. If the coroutine waits,
the spare task takes it over and continues it, and the next coroutine gets another spare one.
Python 3.12 has this as "eager tasks"; this file does it for 3.11 as well.

Limits: one spare task for each `Driver`, which belongs to one event loop.
"""

from asyncio import Task, current_task, get_running_loop
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from typing import Any, NamedTuple

from gatepost.net.inline import NEED_TASK
from gatepost.plugin.continuation import Continuation
from gatepost.plugin.latency import next_distance
from gatepost.plugin.runner import Ended, Runner, new_runner


class Wait(NamedTuple):
    """A plugin's method that a session waits for; `began` is by `time.monotonic`."""

    plugin: str
    method: str
    began: float


class Driver:
    """Starts coroutines in place: `enter`, then `start` for each, then `leave`.

    `until_measured` is the number of stages before the next one that is measured. `waits` has what
    each task of a session waits for.
    """

    __slots__ = ("_current", "_inside", "_outside", "_runner", "_spare", "until_measured", "waits")

    def __init__(self) -> None:
        self.until_measured = next_distance()
        self.waits: dict[Task[Any] | None, Wait] = {}
        self._spare: Continuation | None = None
        self._runner: Runner | None = None
        self._inside = False
        self._current: Task[Any] | None = None
        self._outside = False

    def enter(self) -> bool:
        """Make the spare task the current one; return False if it already is."""
        if self._inside:
            return False
        loop, spare = get_running_loop(), self._spare
        if spare is None or spare.loop is not loop or spare.task.done():
            spare = self._spare = Continuation(loop)
        self._current, self._outside, self._inside = current_task(loop), NEED_TASK.inline, True
        if self._current is not None:
            _leave_task(loop, self._current)
        _enter_task(loop, spare.task)
        NEED_TASK.inline = False
        return True

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the coroutine's result, or the task that continues it; raise what it raises.

        A second coroutine can be started only if the first one has not waited.
        """
        runner, self._runner = self._runner or new_runner(), None
        awaited = runner.send(coroutine)
        if type(awaited) is Ended:
            self._runner = runner
            return awaited.result
        spare = self._spare
        assert spare is not None
        spare.take(coroutine, awaited, runner)
        return spare.task

    def leave(self) -> None:
        """Make the previous task the current one again."""
        spare, current = self._spare, self._current
        assert spare is not None
        _leave_task(spare.loop, spare.task)
        if current is not None:
            _enter_task(spare.loop, current)
        NEED_TASK.inline, self._inside = self._outside, False
        if spare.is_taken or spare.task.cancelling():  # by a coroutine that has ended
            self._spare = None

    def close(self) -> None:
        """End the spare task."""
        if self._spare is not None:
            self._spare.task.cancel()
            self._spare = None
