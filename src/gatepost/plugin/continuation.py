"""A task that is ready to continue a coroutine that has already started.

The task runs a `Continuation` instead of an `async def`: only so can a cancellation that comes
before the task's first step still reach the coroutine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any


class Exit:
    """The attempt of a plugin to end the process."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def contained(work: Awaitable[Any]) -> Any:
    """Await a plugin's work. A task that ends with SystemExit would end the event loop."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        return Exit(error)


class Continuation(Coroutine[Any, Any, Any]):
    """Waits until `take` is called, then continues what it was given.

    As in `contained`, an attempt to end the process becomes a result.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.task: asyncio.Task[Any] = loop.create_task(self)
        self._taken = loop.create_future()
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._awaited: Any = None
        self._runner: object = None
        self._pass_on = False

    @property
    def is_taken(self) -> bool:
        """Return whether a coroutine is being continued."""
        return self._coroutine is not None

    def take(self, coroutine: Coroutine[Any, Any, Any], awaited: Any, runner: object) -> None:
        """Continue a coroutine that has started and waits for `awaited`, a future or None.

        `runner` has started it, and is kept, because its end would be that of the coroutine.
        """
        self._coroutine, self._awaited, self._pass_on = coroutine, awaited, True
        self._runner = runner
        self._taken.set_result(None)

    def send(self, value: Any) -> Any:
        """Make a step, as the task does."""
        if self._coroutine is None:
            return next(self._taken.__await__())
        if self._pass_on:
            self._pass_on = False
            return self._awaited
        return _contain(self._coroutine.send, value)

    def throw(self, error: Any, _value: Any = None, _traceback: Any = None) -> Any:
        """Pass an exception on: the result of what was awaited, or a cancellation."""
        if self._coroutine is None:
            raise error
        if self._pass_on:
            self._pass_on = False
            if self._awaited is not None:
                self._awaited.cancel()  # as the task would have done
                return self._awaited
        return _contain(self._coroutine.throw, error)

    def close(self) -> None:
        """Close the coroutine."""
        if self._coroutine is not None:
            self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("a continuation belongs to its task")


def _contain(step: Callable[[Any], Any], value: Any) -> Any:
    try:
        return step(value)
    except (SystemExit, KeyboardInterrupt) as error:
        raise StopIteration(Exit(error)) from None
