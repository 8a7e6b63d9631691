"""Run a coroutine in place, and make it a task only when it has to wait.

Theory of operation
-------------------
A session's commands are handled by coroutines, because any of them may meet a plugin that waits.
Hardly any does. `run_inline(coroutine)` sends it its first step: if it ends there – the usual case
– no task was made and no trip through the event loop taken.

A step outside a task must not touch the event loop (asyncio.timeout, for one, asks for the current
task). So code that is about to wait says `await need_task()` first. That hands a marker to
`run_inline`, which puts the rest of the coroutine into a task.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class _NeedTask:
    """Awaiting this hands the marker `_NeedTask` to whoever runs the coroutine."""

    def __await__(self) -> Generator[Any, None, None]:
        if asyncio.current_task() is None:
            yield _NeedTask


class _Rest:
    """What is left of a coroutine that has begun."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()


_NEED_TASK = _NeedTask()


def need_task() -> _NeedTask:
    """Return an awaitable after which the caller runs in a task."""
    return _NEED_TASK


def run_inline(
    coroutine: Coroutine[Any, Any, Any], finish: Callable[[Any], None]
) -> asyncio.Task[None] | None:
    """Run `coroutine` and call `finish` with its result, here and now if it need not wait.

    Returns the task that goes on with it otherwise.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        finish(done.value)
        return None
    return asyncio.get_running_loop().create_task(_finish_later(coroutine, finish))


async def _finish_later(coroutine: Coroutine[Any, Any, Any], finish: Callable[[Any], None]) -> None:
    finish(await _Rest(coroutine))
