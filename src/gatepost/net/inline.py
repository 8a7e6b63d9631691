"""Run a coroutine in place, and make it a task only when it has to wait.

Theory of operation
-------------------
Commands are handled by coroutines, because a plugin can wait during any of them. In most sessions
none does. `first_step(coroutine)` runs the coroutine without a task and without a turn of the event
loop. Usually the coroutine ends there. Otherwise it stops where it requires a task.

Code outside a task must not use the event loop: asyncio.timeout, for example, requires the current
task. So `await need_task()` comes before any code that waits. It passes a marker to `first_step`,
which returns UNFINISHED. The caller then runs `finish(coroutine)` in a task.

`first_step` can be called inside a task, as in a server in memory. The coroutine still does not
belong to that task, so a flag set by `first_step` decides, not the current task. Calls can be
nested: a coroutine that runs in place can begin another one that it does not wait for.
"""

from collections.abc import Coroutine, Generator
from typing import Any, Final


class _NeedTask:
    """Awaiting this under `first_step` suspends the coroutine until it is in a task."""

    inline = False

    def __await__(self) -> Generator[Any, None, None]:
        if self.inline:
            yield self


class _Rest:
    """A coroutine that has already started; `await` alone would refuse it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()


# `inline` is true while the code that runs is outside a task.
NEED_TASK: Final = _NeedTask()
UNFINISHED: Final = NEED_TASK


def need_task() -> _NeedTask:
    """Return an awaitable after which the caller runs in a task."""
    return NEED_TASK


def first_step(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of the coroutine, or UNFINISHED if `finish` must continue it."""
    previous, NEED_TASK.inline = NEED_TASK.inline, True
    try:
        return coroutine.send(None)
    except StopIteration as done:
        return done.value
    finally:
        NEED_TASK.inline = previous


async def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Continue a coroutine that `first_step` left unfinished, in a task; return its result."""
    return await _Rest(coroutine)
