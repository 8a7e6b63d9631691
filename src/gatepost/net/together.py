"""Run coroutines at the same time; one that does not wait, such as a cached look-up, costs no task.

`asyncio.gather` makes a task of each coroutine, which costs more than an answer from a cache.

Limits: a coroutine starts outside of a task of its own. So one that uses the current task, as
`asyncio.timeout` does, has to call `gatepost.net.inline.need_task` first.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from gatepost.net.inline import NEED_TASK, UNFINISHED


async def together(
    *coroutines: Coroutine[Any, Any, Any], until: Callable[[Any], bool] | None = None
) -> list[Any]:
    """Return the results of coroutines in their order; an exception is the result of its coroutine.

    With `until`, stop when it returns true for a result: the coroutines that still wait are
    cancelled, and their result is an `asyncio.CancelledError`.
    """
    started = [_start(one) for one in coroutines]
    waiting = {one for one in started if isinstance(one, asyncio.Task)}
    try:
        if until is None or not any(until(one) for one in started if not _waits(one)):
            await _wait(waiting, until)
    finally:
        for task in waiting:
            task.cancel()
    return [_result(one) if _waits(one) else one for one in started]


async def within(seconds: float, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine, also an exception.

    One that waits for longer is cancelled, and its result is an `asyncio.CancelledError`.
    """
    started = _start(coroutine)
    if not _waits(started):
        return started
    try:
        await asyncio.wait((started,), timeout=seconds)
    finally:
        started.cancel()
    return _result(started)


def _waits(started: Any) -> bool:
    return isinstance(started, asyncio.Task)


async def _wait(waiting: set["asyncio.Task[Any]"], until: Callable[[Any], bool] | None) -> None:
    """Wait for the tasks, or until one has the result that is looked for."""
    rest = waiting
    when = asyncio.ALL_COMPLETED if until is None else asyncio.FIRST_COMPLETED
    while rest:
        done, rest = await asyncio.wait(rest, return_when=when)
        if until is not None and any(until(_result(one)) for one in done):
            return


def _start(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine, its exception, or the task that continues it."""
    previous, NEED_TASK.inline = NEED_TASK.inline, True
    try:
        awaited = coroutine.send(None)
    except StopIteration as done:
        return done.value
    except Exception as error:  # noqa: BLE001 - it is the result
        return error
    finally:
        NEED_TASK.inline = previous
    return asyncio.get_running_loop().create_task(_continue(_Started(coroutine, awaited)))


class _Started:
    """A coroutine that already waits for `awaited`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        awaited = self._awaited
        while awaited is not UNFINISHED:
            try:
                yield awaited
                break
            except BaseException as error:  # noqa: BLE001 - thrown into the coroutine
                try:
                    awaited = self._coroutine.throw(error)
                except StopIteration as done:
                    return done.value
        return (yield from self._coroutine.__await__())


async def _continue(started: _Started) -> Any:
    return await started


def _result(task: "asyncio.Task[Any]") -> Any:
    """Return the result or the exception of a task that has ended or is being cancelled."""
    if task.cancelled() or not task.done():
        return asyncio.CancelledError()
    return task.exception() or task.result()
