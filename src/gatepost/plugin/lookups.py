"""Ask plugins who is local: `on_lookup`, with a cache.

Theory of operation
-------------------
The core's rule for RCPT asks where the configuration has no positive answer. Answers are cached by
recipient: positive ones for `seconds`, others for NEGATIVE seconds at most. The answer to a failed
look-up is not cached. Sessions that ask about the same recipient at the same time share one
look-up. It runs in a task of its own, so that it does not end with the session that began it, and
is cancelled when no session waits for it any more.

The key is the canonical address with its tag, and which plugins are called in this session: the
scope of a plugin can differ between sessions.

Limits: MOST positive and MOST negative answers, separately, so that guessed addresses do not push
real ones out; the oldest is dropped. At most one look-up for each session that waits.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

from gatepost.model.decision import Decision, Verdict
from gatepost.model.lookup import Lookup
from gatepost.model.session import Recipient, Transaction
from gatepost.net.inline import UNFINISHED, finish, first_step, need_task
from gatepost.plugin.chain import FAILED, Answer, Asked, Chain
from gatepost.plugin.clock import Clock
from gatepost.tables.answers import MOST, NEGATIVE, Answers

NO_SUCH_MAILBOX = "No such mailbox"

_LOCAL = Decision(Verdict.ACCEPT, reason="local")

Key = tuple[str, tuple[bool, ...]]


def read_lookup(result: Any) -> Decision:
    """Return the result of `on_lookup` as a decision; raises TypeError for another type."""
    if type(result) is not Lookup:
        found = type(result).__name__
        raise TypeError(f"expected None, local() or unknown(), found {found}")
    if result.exists:
        return _LOCAL
    text = NO_SUCH_MAILBOX if result.text is None else result.text
    return Decision(Verdict.DENY, text, enhanced="5.1.1", reason="unknown-recipient")


class _Pending:
    """A look-up that is under way, and the number of sessions that wait for it."""

    def __init__(self, task: "asyncio.Task[Answer | None]") -> None:
        self.task = task
        self.waiting = 0


class Lookups:
    """The look-ups of one worker; positive answers are cached for `seconds`."""

    def __init__(self, chain: Chain, clock: Clock, seconds: float) -> None:
        self._chain = chain
        self._clock = clock
        self._scopes = [hook.scope for hook in chain.deciders if hook.scope is not None]
        self._positive: Answers[Key, Answer | None] = Answers(seconds, MOST)
        self._negative: Answers[Key, Answer | None] = Answers(min(seconds, NEGATIVE), MOST)
        self._pending: dict[Key, _Pending] = {}

    def ask(
        self, tx: Transaction, rcpt: Recipient, asked: list[Asked] | None = None
    ) -> Answer | Awaitable[Answer | None] | None:
        """Return the answer about a recipient, or an awaitable if it is not there yet.

        An answer that accepts is `local()`. None is no opinion. With `asked`, add each plugin that
        is asked and its time to it.
        """
        key = (rcpt.address.key, tuple(scope.covers((tx, rcpt)) for scope in self._scopes))
        now = self._clock.time()
        found = self._positive.get(key, now) or self._negative.get(key, now)
        if found is not None:
            return found[1]
        pending = self._pending.get(key)
        if pending is None:
            work = self._look_up(key, tx, rcpt, asked)
            result = first_step(work)
            if result is not UNFINISHED:
                return cast("Answer | None", result)
            pending = _Pending(asyncio.get_running_loop().create_task(finish(work)))
            self._pending[key] = pending
        return self._wait(key, pending)

    async def _look_up(
        self, key: Key, tx: Transaction, rcpt: Recipient, asked: list[Asked] | None
    ) -> Answer | None:
        answer = await self._chain.decide(tx, rcpt, asked=asked)
        if answer is None or answer.decision.reason != FAILED:
            positive = answer is not None and answer.decision.verdict is Verdict.ACCEPT
            cache = self._positive if positive else self._negative
            cache.put(key, answer, self._clock.time())
        return answer

    async def _wait(self, key: Key, pending: _Pending) -> Answer | None:
        """Wait for a look-up; the last session that stops waiting cancels it."""
        pending.waiting += 1
        try:
            await need_task()
            await asyncio.wait({pending.task})
        finally:
            pending.waiting -= 1
            if pending.task.done() or not pending.waiting:
                pending.task.cancel()
                if self._pending.get(key) is pending:
                    del self._pending[key]
        return pending.task.result()
