"""Run a coroutine in place, and make it a task only when it has to wait.

Theory of operation
-------------------
A session's commands are handled by coroutines, because any of them may meet a plugin that waits.
Hardly any does. `first_step(coroutine)` runs it until it ends – the usual case: no task was made,
no trip through the event loop taken – or until it asks for a task.

A step outside a task must not touch the event loop (asyncio.timeout, for one, asks for the current
task). So code that is about to wait says `await need_task()` first. That hands a marker to
`first_step`, which returns UNFINISHED; the caller then runs `finish(coroutine)` in a task.

`first_step` may itself be called in a task, as tests in memory do; the coroutine under it is still
not that task's, so it is `first_step` that counts, not whether there is a current task.
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
    """What is left of a coroutine that has begun, which `await` alone would refuse."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()


_NEED_TASK = _NeedTask()
UNFINISHED: Final = _NEED_TASK


def need_task() -> _NeedTask:
    """Return an awaitable after which the caller runs in a task."""
    return _NEED_TASK


def first_step(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the coroutine's result, or UNFINISHED if `finish` has to go on with it."""
    _NEED_TASK.inline = True
    try:
        return coroutine.send(None)
    except StopIteration as done:
        return done.value
    finally:
        _NEED_TASK.inline = False


async def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Go on, in a task, with a coroutine that `first_step` left unfinished; return its result."""
    return await _Rest(coroutine)
