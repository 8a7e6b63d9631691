"""Running hooks: who is asked, in what order, and what happens when one of them breaks.

Theory of operation
-------------------
A `Chain` holds what all plugins have to say at one hook. Synchronous methods are called in place,
one after the other. At the first one that has to wait, the rest of the stage moves into a task
under one deadline for all of it; a plugin that is still busy then is cancelled and left behind:
each runs in a task of its own, because one that ignores the cancellation must not hold the session.

Security: a plugin that raises, answers with something that makes no reply, or misses the deadline
has failed. Its `on_error` says what that means: "defer" (the default) and "deny" refuse the
command, "skip" asks the next plugin. A failed observer refuses the command all the same, because
what it would have seen may be the reason to refuse; the other observers still run.
"""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

import msgspec
import structlog

from gatepost.model.decision import Decision, Verdict, defer, deny
from gatepost.model.reply import Reply
from gatepost.plugin.inline import need_task

_log = structlog.get_logger("gatepost.plugin")

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


class Outcome(msgspec.Struct, frozen=True):
    """What `after_<hook>` is told: the reply, and the answer that led to it (None: nobody's)."""

    reply: Reply
    answer: Answer | None


class BoundHook(msgspec.Struct, frozen=True, eq=False):
    """One method of one plugin; `answers` says whether it may return a decision."""

    plugin: str
    name: str
    method: Callable[..., Any]
    on_error: str
    answers: bool

    async def settle(self, result: Awaitable[Any], expiry: float) -> Answer | None:
        """Wait for the method's result, until the loop's time is `expiry`."""
        task = asyncio.ensure_future(result)
        try:
            await asyncio.wait({task}, timeout=expiry - asyncio.get_running_loop().time())
        finally:
            finished = task.done()
            if not finished:
                task.add_done_callback(_leave_behind)
                task.cancel()
        if not finished:
            return self.failed(TimeoutError("no answer before the deadline"))
        if task.cancelled():
            return self.failed(asyncio.CancelledError())
        error = task.exception()
        return self.check(task.result()) if error is None else self.failed(error)

    def failed(self, error: BaseException) -> Answer | None:
        """Log a failure; return what the administrator wants it to mean."""
        _log.error("plugin failed", plugin=self.plugin, method=self.name, exc_info=error)
        decision = ON_ERROR[self.on_error]
        return None if decision is None else Answer(decision, self.plugin)

    def check(self, result: Any) -> Answer | None:
        """Make an answer of what the method returned; anything it may not return is a failure."""
        if result is None:
            return None
        if not (self.answers and type(result) is Decision):
            expected = "None or a decision" if self.answers else "None"
            return self.failed(TypeError(f"expected {expected}, found {type(result).__name__}"))
        try:
            _check_decision(result)
        except (TypeError, ValueError) as error:
            return self.failed(error)
        return Answer(result, self.plugin)


def _leave_behind(task: asyncio.Future[Any]) -> None:
    """Take note of how a cancelled plugin ended, so that it is not reported as forgotten."""
    if not task.cancelled():
        task.exception()


def _check_decision(decision: Decision) -> None:
    """Raise TypeError or ValueError for a decision no reply can be made of.

    `deny()` and `defer()` make none such, but a plugin may have built the struct by itself.
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
    """Call methods from `start` on until one says more than None.

    Returns its index, or how many there are, and the answer or something to `settle`.
    """
    index = start
    try:
        for index in range(start, len(hooks)):
            result = hooks[index].method(*args)
            if result is not None:
                return index, result if isawaitable(result) else hooks[index].check(result)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it raises
        return index, hooks[index].failed(error)
    return len(hooks), None


class Chain(msgspec.Struct, frozen=True, eq=False):
    """What all plugins have to say at one hook; `deadline` is in seconds, for each stage."""

    observers: Hooks = ()
    deciders: Hooks = ()
    followers: Hooks = ()
    deadline: float = 30.0

    def __bool__(self) -> bool:
        return bool(self.observers or self.deciders or self.followers)

    async def observe(self, *args: Any) -> Answer | None:
        """Tell every observer; return the answer that a failed one stands for, if any."""
        return await self._tell(self.observers, args)

    async def decide(self, *args: Any) -> Answer | None:
        """Ask in order until one answers."""
        hooks, index, expiry = self.deciders, 0, 0.0
        while index < len(hooks):
            index, answer = _next_answer(hooks, index, args)
            if answer is not None and not isinstance(answer, Answer):
                expiry = expiry or await self._start_deadline()
                answer = await hooks[index].settle(answer, expiry)
            if answer is not None:
                return answer
            index += 1
        return None

    async def follow(self, *args: Any) -> None:
        """Tell every plugin what came of it; failures are logged, nothing can be changed."""
        await self._tell(self.followers, args)

    async def _tell(self, hooks: Hooks, args: tuple[Any, ...]) -> Answer | None:
        index, expiry, failure = 0, 0.0, None
        while index < len(hooks):
            index, answer = _next_answer(hooks, index, args)
            if answer is not None and not isinstance(answer, Answer):
                expiry = expiry or await self._start_deadline()
                answer = await hooks[index].settle(answer, expiry)
            failure = failure or answer
            index += 1
        return failure

    async def _start_deadline(self) -> float:
        await need_task()
        return asyncio.get_running_loop().time() + self.deadline
