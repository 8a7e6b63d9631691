"""Run the plugins' methods at a hook: order, deadlines, failures.

Theory of operation
-------------------
A `Chain` holds all plugins' methods at one hook. Methods are called in place, one after the other,
and coroutines are started in place (`gatepost.plugin.driver`). Only when one really waits, the rest
of the stage moves into a task. Each method has a deadline of its own, counted from its call: the
time that one plugin spends is not taken from the next. A plugin that misses its deadline is
cancelled and abandoned. It runs in a task of its own, because a plugin that ignores the
cancellation must not hold the session.

Security: a plugin fails if it raises, returns something other than None or a valid decision, or
misses the deadline. Its `on_error` decides: "defer" (the default) and "deny" refuse the command,
"skip" asks the next plugin. A failed observer refuses the command as well, because it might have
found the reason to refuse; the other observers still run.

A method of a plugin in shadow mode decides nothing: what it would have decided is logged. The same
goes for a decision about mail that `gatepost allow` allows (`gatepost.plugin.lifting`).

The time of methods is measured as `gatepost.plugin.latency` describes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from operator import length_hint
from types import CoroutineType
from typing import Any, Final, NamedTuple

import msgspec

from gatepost.model.author import Author, Turn
from gatepost.model.decision import Decision, Verdict, accept, defer, deny, hold
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.model.session import Hold, Session, Transaction, check_reason
from gatepost.model.structs import Frozen, FrozenIdentity
from gatepost.net.inline import need_task
from gatepost.plugin import trouble
from gatepost.plugin.continuation import Exit, contained
from gatepost.plugin.driver import Driver, Wait
from gatepost.plugin.hooks import ANY_2XX, HOLDING, SELECTIVE, reply_for
from gatepost.plugin.latency import SAMPLING, HookLatency, next_distance
from gatepost.plugin.lifting import Lifting
from gatepost.plugin.scope import Scope

# The reason of the decisions that stand for a failed plugin.
FAILED: Final = "plugin-failed"

ON_ERROR: dict[str, Decision | None] = {
    "defer": Decision(Verdict.DEFER, "Temporary local problem", 451, "4.3.0", reason=FAILED),
    "deny": Decision(Verdict.DENY, "Local policy failed", 554, "5.3.0", reason=FAILED),
    "skip": None,
}

DEFAULT_TIMEOUT = 30.0
# A method that takes longer, in seconds, delays all sessions of the worker noticeably.
SLOW_IN_PLACE: Final = 0.1
# The share of its time-out after which a method that waits is reported as slow.
SLOW_SHARE = 0.5

_ACCEPT: Final = Verdict.ACCEPT
_REFUSALS = {Verdict.DENY: deny, Verdict.DEFER: defer}


class Answer(Frozen, frozen=True):
    """A decision and the name of the plugin that made it."""

    decision: Decision
    by: str


class Asked(NamedTuple):
    """A plugin that was asked, the time it took in seconds, and its answer, if it gave one."""

    plugin: str
    seconds: float
    answer: Answer | None


class Outcome(Frozen, frozen=True):
    """The argument of `after_<hook>`: the reply, and the answer that led to it, if any.

    `asked` has the plugins that were asked, in order, if their time was measured; otherwise it is
    empty. It is measured if a plugin has `after_any`.
    """

    reply: Reply
    answer: Answer | None
    asked: Sequence[Asked] = ()


class BoundHook(FrozenIdentity, frozen=True, eq=False):
    """One method of one plugin.

    `method` is called with the hook's arguments; it returns None outside `scope`.
    `answers` is true if it may return a decision, `codes` are the codes that `accept` may have, the
    usual one first; without any, `accept` has no text. `timeout` is in seconds. With `shadow` its
    decisions are only logged. `lifting` has what `gatepost allow` allows, None where it has no
    effect. `read` makes a decision of a result that is none, or raises
    TypeError.
    """

    plugin: str
    name: str
    method: Callable[..., Any]
    on_error: str
    answers: bool
    codes: tuple[int, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    shadow: bool = False
    scope: Scope | None = None
    read: Callable[[Any], Decision] | None = None
    latency: HookLatency = msgspec.field(default_factory=HookLatency)
    lifting: Lifting | None = None

    async def await_result(self, result: Awaitable[Any], args: tuple[Any, ...]) -> Answer | None:
        """Wait for the method's result, at most for its time-out."""
        task = result if isinstance(result, asyncio.Future) else None
        if task is None:
            task = asyncio.ensure_future(contained(result))
        began = time.monotonic()
        try:
            await asyncio.wait({task}, timeout=self.timeout)
        finally:
            finished = task.done()
            if not finished:
                task.add_done_callback(_abandon)
                task.cancel()
        took = time.monotonic() - began
        self.latency.add(took)
        if not finished:
            self.latency.timeouts += 1
            return self.failed(TimeoutError(f"no answer within {self.timeout:g} s"), args)
        if took > SLOW_SHARE * self.timeout:
            trouble.slow([self.plugin], self.name, took, args)
        if task.cancelled():
            return self.failed(asyncio.CancelledError(), args)
        error = task.exception()
        if error is not None:
            return self.failed(error, args)
        value = task.result()
        if isinstance(value, Exit):
            return self.failed(value.error, args)
        return self.check(value, args)

    def failed(self, error: BaseException, args: tuple[Any, ...]) -> Answer | None:
        """Log and count a failure; return the answer that the administrator chose for it."""
        self.latency.failures += 1
        trouble.failed(self.plugin, self.name, error, args)
        decision = None if self.shadow else ON_ERROR[self.on_error]
        return None if decision is None else Answer(decision, self.plugin)

    def check(self, result: Any, args: tuple[Any, ...]) -> Answer | None:
        """Return the method's result as an answer; a result of a wrong type is a failure."""
        if result is None:
            return None
        if self.read is not None:
            try:
                result = self.read(result)
            except TypeError as error:
                return self.failed(error, args)
        if not (self.answers and type(result) is Decision):
            expected = "None or a decision" if self.answers else "None"
            found = type(result).__name__
            return self.failed(TypeError(f"expected {expected}, found {found}"), args)
        try:
            _check_decision(result, self._hook, self.codes)
        except (TypeError, ValueError) as error:
            return self.failed(error, args)
        if self._has_no_effect(result, args):
            return None
        if result.verdict is Verdict.HOLD:
            _hold(args[0], Hold(result.reason, self.plugin))
            return None
        answer = Answer(result, self.plugin)
        if not result.recipients:
            return answer
        try:
            return self._refuse_some(answer, args[0])
        except (TypeError, ValueError) as error:
            return self.failed(error, args)

    def lifts_hold(self, tx: Transaction, reason: str) -> bool:
        """Return whether `gatepost allow` takes the effect from `tx.quarantine(reason)`."""
        return self._has_no_effect(hold(reason), (tx,))

    def _has_no_effect(self, decision: Decision, args: tuple[Any, ...]) -> bool:
        """Return whether a decision is only recorded, and record it: by shadow mode or an entry."""
        if self.shadow:
            trouble.without_effect(self.plugin, self.name, decision, args)
            return True
        if self.lifting is None or decision.verdict is _ACCEPT:
            return False
        entry = self.lifting.entry_for(decision, args)
        if entry is None:
            return False
        trouble.without_effect(self.plugin, self.name, decision, args, allowed=str(entry))
        return True

    @property
    def _hook(self) -> str:
        return self.name.removeprefix("on_")

    def _refuse_some(self, answer: Answer, tx: Transaction) -> Answer | None:
        """Refuse some recipients; return the answer if it is for all of them.

        Plugins that come later decide about the others.
        """
        hook = self._hook
        if hook not in SELECTIVE:
            raise ValueError("a refusal takes recipients in on_headers and on_message only")
        if tx.acting is None:
            raise ValueError("the recipients cannot be changed")
        reply = reply_for(hook, answer.decision).with_reference(tx.id)
        if tx.acting.refuse(tx, answer.decision.recipients, reply):
            return answer
        tx.acting.refusals = (*tx.acting.refusals, (answer, reply))
        return None


def _hold(subject: Session | Transaction, hold: Hold) -> None:
    """Hold the message of a transaction, or all messages of a session; the first reason stays."""
    if isinstance(subject, Transaction):
        assert subject.acting is not None
        subject.acting.hold(hold)
    elif subject.held is None:
        set_fact(subject, "held", hold)


def _abandon(task: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a cancelled plugin, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()


def _check_decision(decision: Decision, hook: str, codes: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError for a decision that cannot become a reply.

    `accept()`, `deny()` and `defer()` check their arguments, but a plugin may create the struct
    itself. Only here it is known which codes the hook has.
    """
    if not isinstance(decision.verdict, Verdict):
        raise TypeError(f"expected a Verdict, found {decision.verdict!r}")
    if not isinstance(decision.text, str | None):
        raise TypeError(f"expected text as str, found {type(decision.text).__name__}")
    if decision.verdict is Verdict.ACCEPT:
        _check_accept(decision, codes)
    elif decision.verdict is Verdict.HOLD:
        _check_hold(decision, hook)
    else:
        make = _REFUSALS[decision.verdict]
        make(code=decision.code, enhanced=decision.enhanced, delay=decision.delay)


def _check_accept(decision: Decision, codes: tuple[int, ...]) -> None:
    accept(code=decision.code, enhanced=decision.enhanced)
    if not codes and (decision.text, decision.code, decision.enhanced) != (None, None, None):
        raise ValueError(
            "accept() takes no text and no codes here: the hook has no reply of its own"
        )
    if decision.code is not None and decision.code not in codes:
        expected = "2xx" if codes is ANY_2XX else " or ".join(map(str, codes))
        raise ValueError(f"accept() takes code {expected} here, found {decision.code}")


def _check_hold(decision: Decision, hook: str) -> None:
    if hook not in HOLDING:
        raise ValueError(f"hold() is about a message that follows: on_{hook} has none")
    check_reason(decision.reason)


Hooks = tuple[BoundHook, ...]

# Of chains without a host.
_DRIVER = Driver()


class Chain(FrozenIdentity, frozen=True, eq=False):
    """All plugins' methods at one hook.

    `edits` is true where plugins may edit the message, `acts` where they may change the recipients.
    """

    observers: Hooks = ()
    deciders: Hooks = ()
    followers: Hooks = ()
    driver: Driver = _DRIVER
    edits: bool = False
    acts: bool = False

    @property
    def only_decides(self) -> bool:
        """Return whether no plugin observes or follows."""
        return not (self.observers or self.followers)

    def __bool__(self) -> bool:
        return bool(self.observers or self.deciders or self.followers)

    async def observe(self, *args: Any) -> Answer | None:
        """Call every observer; return the answer that stands for a failed one, if any."""
        return await self._call_all(self.observers, args)

    async def decide(self, *args: Any, asked: list[Asked] | None = None) -> Answer | None:
        """Ask in order until a plugin answers; with `asked`, add each plugin and its time to it."""
        if asked is not None:
            return await self._decide_measured(args, asked)
        answer = self.ask(args)
        return answer if answer is None or isinstance(answer, Answer) else await answer

    def ask(
        self, args: tuple[Any, ...], start: int = 0
    ) -> Answer | Awaitable[Answer | None] | None:
        """Do the same as `decide`, from a plugin on; return an awaitable if one waits."""
        index, hooks = start, self.deciders
        while index < len(hooks):
            index, answer = _next_answer(self, hooks, index, args)
            if isinstance(answer, Answer):
                return answer
            if answer is not None:
                return self._ask_on(index, answer, args)
            index += 1
        return None

    async def _ask_on(
        self, index: int, result: Awaitable[Any], args: tuple[Any, ...]
    ) -> Answer | None:
        """Wait for a plugin; ask the next ones if it has no opinion."""
        answer = await self._await(self.deciders[index], result, args)
        if answer is not None:
            return answer
        later = self.ask(args, index + 1)
        return later if later is None or isinstance(later, Answer) else await later

    async def _await(
        self, hook: BoundHook, result: Awaitable[Any], args: tuple[Any, ...]
    ) -> Answer | None:
        """Wait for a plugin in a task; the driver has the plugin of the task meanwhile."""
        await need_task()
        waits, task = self.driver.waits, asyncio.current_task()
        waits[task] = Wait(hook.plugin, hook.name, time.monotonic())
        try:
            return await hook.await_result(result, args)
        finally:
            del waits[task]

    async def _decide_measured(self, args: tuple[Any, ...], asked: list[Asked]) -> Answer | None:
        for hook in self.deciders:
            if hook.scope is not None and not hook.scope.covers(args):
                continue
            began = time.perf_counter()
            _, answer = _next_answer(self, (hook,), 0, args)
            if answer is not None and not isinstance(answer, Answer):
                answer = await self._await(hook, answer, args)
            asked.append(Asked(hook.plugin, time.perf_counter() - began, answer))
            if answer is not None:
                return answer
        return None

    async def follow(self, *args: Any) -> None:
        """Call every plugin that follows the outcome; failures are logged and change nothing."""
        await self._call_all(self.followers, args)

    async def _call_all(self, hooks: Hooks, args: tuple[Any, ...]) -> Answer | None:
        index, failure = 0, None
        while index < len(hooks):
            index, answer = _next_answer(self, hooks, index, args)
            if answer is not None and not isinstance(answer, Answer):
                answer = await self._await(hooks[index], answer, args)
            failure = failure or answer
            index += 1
        return failure


def _next_answer(  # noqa: C901 - in one piece: it runs for each command
    chain: Chain, hooks: Hooks, start: int, args: tuple[Any, ...]
) -> tuple[int, Answer | Awaitable[Any] | None]:
    """Call methods from `start` on until one returns more than None.

    Returns the index of the last one that was called, and its answer or an awaitable.
    """
    driver, entered = chain.driver, False
    driver.until_measured -= 1
    if driver.until_measured < 0:
        return _measured_answer(chain, hooks, start, args)
    began = time.monotonic()
    answer: Answer | Awaitable[Any] | None = None
    calls = iter(hooks[start:])
    if chain.acts:
        _name_author(chain, args[0], Turn(hooks, calls))
    hook = hooks[start]
    try:
        for hook in calls:
            result = hook.method(*args)
            if result is not None:
                if type(result) is CoroutineType:
                    entered = entered or driver.enter()
                    result = driver.start(result)
                    if result is None:
                        continue
                answer = result if isawaitable(result) else hook.check(result, args)
                if answer is not None:
                    break
    except BaseException as error:  # noqa: BLE001 - SystemExit too: a plugin must not end the worker
        answer = hook.failed(error, args)
    if entered:
        driver.leave()
    index = len(hooks) - 1 - length_hint(calls)
    took = time.monotonic() - began
    if took > SLOW_IN_PLACE:
        _report_slow(hooks[start : index + 1], took, args)
    return index, answer


def _measured_answer(
    chain: Chain, hooks: Hooks, start: int, args: tuple[Any, ...]
) -> tuple[int, Answer | Awaitable[Any] | None]:
    """Do the same as `_next_answer`, and measure each method that does not wait."""
    driver, answer = chain.driver, None
    driver.until_measured = len(hooks)  # the calls below are not measured again
    index = start
    for index in range(start, len(hooks)):
        began = time.perf_counter()
        _, answer = _next_answer(chain, (hooks[index],), 0, args)
        if answer is None or isinstance(answer, Answer):
            hooks[index].latency.add(time.perf_counter() - began, SAMPLING)
        if answer is not None:
            break
    driver.until_measured = next_distance()
    return index, answer


def _name_author(chain: Chain, tx: Transaction, author: Author) -> None:
    """Name the author of what plugins do to the message and its recipients."""
    if tx.acting is not None:
        tx.acting.author = author
    if chain.edits and tx.message is not None:
        tx.message.author = author


def _report_slow(called: Hooks, took: float, args: tuple[Any, ...]) -> None:
    trouble.slow([one.plugin for one in called], called[0].name, took, args)
