"""Start a plugin's coroutine in place, and continue it in a task only if it waits.

Theory of operation
-------------------
Most `async def` methods return without having waited: the answer is in a cache, or there is nothing
to do. A task for each would cost several times as much as the method. So `Driver.begin` runs the
coroutine up to the first point where it waits. If there is none, its result is there.

Code in a coroutine expects a current task: asyncio.timeout, for example, cancels it later. So a
spare task is prepared, and is the current one while the coroutine starts. If the coroutine waits,
the spare task takes it over and continues it, and the next coroutine gets another spare one.
Python 3.12 has this as "eager tasks"; this file does it for 3.11 as well.

Limits: one spare task for each `Driver`, which belongs to one event loop.
"""

from asyncio import current_task, get_running_loop
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from typing import Any

from gatepost.plugin.continuation import Continuation
from gatepost.plugin.inline import NEED_TASK


class Driver:
    """Starts coroutines in place."""

    __slots__ = ("_spare",)

    def __init__(self) -> None:
        self._spare: Continuation | None = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the coroutine's result, or the task that continues it; raise what it raises."""
        # One long function: it runs for each call of an `async def` method.
        loop, spare = get_running_loop(), self._spare
        if spare is None or spare.loop is not loop or spare.task.done():
            spare = self._spare = Continuation(loop)
        current, inline = current_task(loop), NEED_TASK.inline
        if current is not None:
            _leave_task(loop, current)
        _enter_task(loop, spare.task)
        NEED_TASK.inline = False
        try:
            awaited = coroutine.send(None)
        except StopIteration as done:
            if spare.task.cancelling():  # by the coroutine, which has ended
                self._spare = None
            return done.value
        finally:
            NEED_TASK.inline = inline
            _leave_task(loop, spare.task)
            if current is not None:
                _enter_task(loop, current)
        self._spare = None
        spare.take(coroutine, awaited)
        return spare.task

    def close(self) -> None:
        """End the spare task."""
        if self._spare is not None:
            self._spare.task.cancel()
            self._spare = None
