"""Run coroutines up to the first point where they wait, without an exception for each result.

A coroutine that ends raises StopIteration in `send`, which costs more than most plugins. A
generator that awaits it gets its result instead, and yields it. One generator does this for one
coroutine after the other.

Limits: this file is not compiled, because `types.coroutine` requires a generator of Python.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any


class Ended:
    """The end of a coroutine, as a runner yields it; `result` is its result."""

    __slots__ = ("result",)

    def __init__(self) -> None:
        self.result: Any = None


# Takes coroutines, yields `Ended`, or what the coroutine waits for.
Runner = Generator[Any, Coroutine[Any, Any, Any], None]


def new_runner() -> Runner:
    """Return a runner that is ready for `send(coroutine)`.

    A coroutine that raises ends it. One that waits is continued without the runner, which must be
    kept until then: it would close the coroutine.
    """
    runner: Runner = _run()
    next(runner)
    return runner


@types.coroutine
def _run() -> Runner:
    ended = Ended()
    coroutine = yield ended
    while True:
        ended.result = yield from coroutine
        coroutine = yield ended
