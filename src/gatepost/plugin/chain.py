"""Run the plugins' methods at a hook: order, deadline, failures.

Theory of operation
-------------------
A `Chain` holds all plugins' methods at one hook. Synchronous methods are called in place, one after
the other. At the first one that waits, the rest of the stage moves into a task, under one deadline
for the stage. A plugin that misses the deadline is cancelled and abandoned. Each runs in a task of
its own, because a plugin that ignores the cancellation must not hold the session.

Security: a plugin fails if it raises, returns something other than None or a valid decision, or
misses the deadline. Its `on_error` decides: "defer" (the default) and "deny" refuse the command,
"skip" asks the next plugin. A failed observer refuses the command as well, because it might have
found the reason to refuse; the other observers still run.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, NamedTuple

import msgspec

from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.model.decision import Decision, Verdict, defer, deny
from gatepost.model.reply import Reply
from gatepost.plugin.failure import client_of
from gatepost.plugin.inline import need_task

_log = get_logger("gatepost.plugin")

ON_ERROR: dict[str, Decision | None] = {
    "defer": Decision(
        Verdict.DEFER, "Temporary local problem", 451, "4.3.0", reason="plugin-failed"
    ),
    "deny": Decision(Verdict.DENY, "Local policy failed", 554, "5.3.0", reason="plugin-failed"),
    "skip": None,
}

_REFUSALS = {Verdict.DENY: deny, Verdict.DEFER: defer}


class Answer(msgspec.Struct, frozen=True):
    """A decision and the name of the plugin that made it."""

    decision: Decision
    by: str


class Asked(NamedTuple):
    """A plugin that was asked, the time it took in seconds, and its answer, if it gave one."""

    plugin: str
    seconds: float
    answer: Answer | None


class Outcome(msgspec.Struct, frozen=True):
    """The argument of `after_<hook>`: the reply, and the answer that led to it, if any."""

    reply: Reply
    answer: Answer | None


class _Exit:
    """The attempt of a plugin to end the process."""

    # Not a NamedTuple: compiled by mypyc, its field's type is looked up and not found.
    def __init__(self, error: BaseException) -> None:
        self.error = error


async def _contained(work: Awaitable[Any]) -> Any:
    """Await a plugin's method. A task that ends with SystemExit would end the event loop."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        return _Exit(error)


class BoundHook(msgspec.Struct, frozen=True, eq=False):
    """One method of one plugin; `answers` is true if it may return a decision."""

    plugin: str
    name: str
    method: Callable[..., Any]
    on_error: str
    answers: bool

    async def await_result(
        self, result: Awaitable[Any], expiry: float, args: tuple[Any, ...]
    ) -> Answer | None:
        """Wait for the method's result, until the loop's time is `expiry`."""
        task = asyncio.ensure_future(_contained(result))
        try:
            await asyncio.wait({task}, timeout=expiry - asyncio.get_running_loop().time())
        finally:
            finished = task.done()
            if not finished:
                task.add_done_callback(_abandon)
                task.cancel()
        if not finished:
            return self.failed(TimeoutError("no answer before the deadline"), args)
        if task.cancelled():
            return self.failed(asyncio.CancelledError(), args)
        error = task.exception()
        if error is not None:
            return self.failed(error, args)
        value = task.result()
        if isinstance(value, _Exit):
            return self.failed(value.error, args)
        return self.check(value, args)

    def failed(self, error: BaseException, args: tuple[Any, ...]) -> Answer | None:
        """Log a failure; return the answer that the administrator chose for it."""
        trace, client = format_traceback(error), client_of(args)
        _log.error("plugin failed", plugin=self.plugin, method=self.name, exception=trace, **client)
        decision = ON_ERROR[self.on_error]
        return None if decision is None else Answer(decision, self.plugin)

    def check(self, result: Any, args: tuple[Any, ...]) -> Answer | None:
        """Return the method's result as an answer; a result of a wrong type is a failure."""
        if result is None:
            return None
        if not (self.answers and type(result) is Decision):
            expected = "None or a decision" if self.answers else "None"
            found = type(result).__name__
            return self.failed(TypeError(f"expected {expected}, found {found}"), args)
        try:
            _check_decision(result)
        except (TypeError, ValueError) as error:
            return self.failed(error, args)
        return Answer(result, self.plugin)


def _abandon(task: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a cancelled plugin, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()


def _check_decision(decision: Decision) -> None:
    """Raise TypeError or ValueError for a decision that cannot become a reply.

    `deny()` and `defer()` check their arguments, but a plugin may create the struct itself.
    """
    if not isinstance(decision.verdict, Verdict):
        raise TypeError(f"expected a Verdict, found {decision.verdict!r}")
    if not isinstance(decision.text, str | None):
        raise TypeError(f"expected text as str, found {type(decision.text).__name__}")
    make = _REFUSALS.get(decision.verdict)
    if make is not None:
        make(code=decision.code, enhanced=decision.enhanced, delay=decision.delay)


Hooks = tuple[BoundHook, ...]


def _next_answer(
    hooks: Hooks, start: int, args: tuple[Any, ...]
) -> tuple[int, Answer | Awaitable[Any] | None]:
    """Call methods from `start` on until one returns more than None.

    Returns its index, or the number of methods, and the answer or an awaitable.
    """
    index = start
    try:
        for index in range(start, len(hooks)):
            result = hooks[index].method(*args)
            if result is not None:
                return index, result if isawaitable(result) else hooks[index].check(result, args)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: a plugin must not end the worker
        return index, hooks[index].failed(error, args)
    return len(hooks), None


class Chain(msgspec.Struct, frozen=True, eq=False):
    """All plugins' methods at one hook; `deadline` is in seconds, for each stage."""

    observers: Hooks = ()
    deciders: Hooks = ()
    followers: Hooks = ()
    deadline: float = 30.0

    def __bool__(self) -> bool:
        return bool(self.observers or self.deciders or self.followers)

    async def observe(self, *args: Any) -> Answer | None:
        """Call every observer; return the answer that stands for a failed one, if any."""
        return await self._call_all(self.observers, args)

    async def decide(self, *args: Any, asked: list[Asked] | None = None) -> Answer | None:
        """Ask in order until a plugin answers; with `asked`, add each plugin and its time to it."""
        if asked is not None:
            return await self._decide_measured(args, asked)
        hooks, index, expiry = self.deciders, 0, 0.0
        while index < len(hooks):
            index, answer = _next_answer(hooks, index, args)
            if answer is not None and not isinstance(answer, Answer):
                expiry = expiry or await self._start_deadline()
                answer = await hooks[index].await_result(answer, expiry, args)
            if answer is not None:
                return answer
            index += 1
        return None

    async def _decide_measured(self, args: tuple[Any, ...], asked: list[Asked]) -> Answer | None:
        expiry = 0.0
        for hook in self.deciders:
            began = time.perf_counter()
            _, answer = _next_answer((hook,), 0, args)
            if answer is not None and not isinstance(answer, Answer):
                expiry = expiry or await self._start_deadline()
                answer = await hook.await_result(answer, expiry, args)
            asked.append(Asked(hook.plugin, time.perf_counter() - began, answer))
            if answer is not None:
                return answer
        return None

    async def follow(self, *args: Any) -> None:
        """Call every plugin that follows the outcome; failures are logged and change nothing."""
        await self._call_all(self.followers, args)

    async def _call_all(self, hooks: Hooks, args: tuple[Any, ...]) -> Answer | None:
        index, expiry, failure = 0, 0.0, None
        while index < len(hooks):
            index, answer = _next_answer(hooks, index, args)
            if answer is not None and not isinstance(answer, Answer):
                expiry = expiry or await self._start_deadline()
                answer = await hooks[index].await_result(answer, expiry, args)
            failure = failure or answer
            index += 1
        return failure

    async def _start_deadline(self) -> float:
        await need_task()
        return asyncio.get_running_loop().time() + self.deadline
