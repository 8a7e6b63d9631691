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

import asyncio
from collections.abc import Coroutine
from typing import Any

from gatepost.plugin.continuation import Continuation
from gatepost.plugin.inline import set_inline


class Driver:
    """Starts coroutines in place."""

    def __init__(self) -> None:
        self._spare: Continuation | None = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the coroutine's result, or the task that continues it; raise what it raises."""
        loop = asyncio.get_running_loop()
        spare = self._spare
        if spare is None or not spare.is_usable(loop):
            spare = self._spare = Continuation(loop)
        current = asyncio.current_task(loop)
        if current is not None:
            asyncio.tasks._leave_task(loop, current)  # noqa: SLF001 - Python 3.12: eager_start
        asyncio.tasks._enter_task(loop, spare.task)  # noqa: SLF001
        inline = set_inline(inline=False)
        try:
            awaited = coroutine.send(None)
        except StopIteration as done:
            return done.value
        finally:
            set_inline(inline=inline)
            asyncio.tasks._leave_task(loop, spare.task)  # noqa: SLF001
            if current is not None:
                asyncio.tasks._enter_task(loop, current)  # noqa: SLF001
        self._spare = None
        spare.take(coroutine, awaited)
        return spare.task

    def close(self) -> None:
        """End the spare task."""
        if self._spare is not None:
            self._spare.task.cancel()
            self._spare = None
