"""One step of a session: how a command is decided, and its effect.

Theory of operation
-------------------
Every command is a step, an object with its arguments, and takes the same way:

    made     look the arguments up; traps are found here
    observe  call every plugin's observer
    rule     the core's own decision (`gatepost.session.rules`), which may ask who is local
    decide   ask plugins in order, if the core has no opinion
    ask      ask the next hop or the users file, if no plugin has an opinion
    proceed  the command takes effect, or
    refused  a refusal undoes what it must
    follow   call every plugin that follows the outcome, `after_any` last

`run` returns a reply, or a coroutine that ends with one. If no plugin at a hook observes, follows
or waits, and no refusal is delayed, there is no coroutine, because it would cost more than a plugin
without an opinion. As long as no plugin and no target waits, a coroutine never suspends, so that
`gatepost.net.inline` runs it in place. The arguments of the plugins' methods are put together only
if they are needed.

Security: a refusal's text comes from the core, the configuration or a plugin, never from an
exception.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from gatepost.model.decision import Verdict
from gatepost.model.reply import Reply
from gatepost.model.session import Transaction
from gatepost.net.inline import need_task
from gatepost.plugin.chain import Answer, Asked, Chain, Outcome
from gatepost.plugin.hooks import reply_for
from gatepost.session.answers import Ruling
from gatepost.session.conversation import Conversation, Result
from gatepost.session.recorder import Decided

# The last to decide, which may have to wait.
Question = Awaitable[Answer | None]

_NO_CHAIN: Final = Chain()
_ACCEPT: Final = Verdict.ACCEPT

# The hooks whose refusals all wait for `smtp.refusal_delay`.
_OF_THE_MESSAGE: Final = frozenset({"data", "headers", "message"})


class Step(ABC):
    """A command on its way; the module describes the methods.

    In the compiled build the steps are native classes, and their methods are called directly.
    """

    __slots__ = ("hook", "talk")

    def __init__(self, talk: Conversation, hook: str) -> None:
        self.talk = talk
        self.hook = hook

    @property
    @abstractmethod
    def args(self) -> tuple[Any, ...]:
        """The arguments of the plugins' methods."""

    def rule(self) -> Ruling:
        """Return the core's answer, None if it has no opinion."""
        return None

    def ask(self) -> Question | None:
        """Return the pending answer of the last to be asked, None if there is no such."""
        return None

    @abstractmethod
    def proceed(self, answer: Answer | None) -> Result:
        """Let the command take effect; `answer` has accepted it, None without any opinion."""

    def refused(self, reply: Reply) -> Result:
        """Undo what the command has changed; return the reply, or what ends with it."""
        return reply


def run(step: Step) -> Result:
    """Take a command through its step, from `observe` to `follow`."""
    talk = step.talk
    chain = talk.chains.get(step.hook) if talk.chains else None
    talk.began = 0.0 if chain is None else time.monotonic()
    if talk.asks_for_times or not (chain is None or chain.only_decides):
        return _consult(step, _NO_CHAIN if chain is None else chain)
    answer = step.rule()
    if answer is None and chain is not None:
        answer = chain.ask(step.args)
        if answer is not None and not isinstance(answer, Answer):
            return _conclude_later(step, None, answer)
        _record_refusals(step)
    if answer is None or isinstance(answer, Answer):
        return _conclude(step, answer)
    return _conclude_later(step, chain, answer)


async def _conclude_later(step: Step, chain: Chain | None, pending: Question) -> Reply:
    """Wait for the core's rule, which has asked plugins who is local, or for a plugin.

    `chain` has the plugins that are still to be asked, None if they have been.
    """
    answer = await pending
    if answer is None and chain is not None:
        answer = await chain.decide(*step.args)
    _record_refusals(step)
    result = _conclude(step, answer)
    return result if isinstance(result, Reply) else await result


async def _consult(step: Step, chain: Chain) -> Reply:
    """Do the same with plugins: observe, decide, follow."""
    talk, args = step.talk, step.args
    asked: list[Asked] | None = [] if talk.asks_for_times else None
    failure = await chain.observe(*args)
    ruling = step.rule()
    if ruling is not None and not isinstance(ruling, Answer):
        ruling = await ruling
    answer = ruling or failure
    if answer is None:
        answer = await chain.decide(*args, asked=asked)
        _record_refusals(step)
    result = _conclude(step, answer, asked if talk.detailed else None)
    reply = result if isinstance(result, Reply) else await result
    outcome = Outcome(reply, answer, asked or ())
    if chain.followers:
        await chain.follow(*args, outcome)
    if talk.after_any is not None:
        await _follow_any(step, talk.after_any, outcome)
    return reply


def _record_refusals(step: Step) -> None:
    """Record the refusals of some of the recipients."""
    talk, tx = step.talk, step.talk.tx
    if tx is not None and tx.acting is not None and tx.acting.refusals:
        for answer, reply in tx.acting.refusals:
            talk.recorder.decided(talk.session, tx, Decided(step.hook, step.args, answer), reply)
        tx.acting.refusals = ()


async def _follow_any(step: Step, chain: Chain, outcome: Outcome) -> None:
    """Call `after_any`; the first argument of the hook is for the plugins' scope."""
    talk, subject = step.talk, step.args[0]
    tx = subject if isinstance(subject, Transaction) else talk.tx
    await chain.follow(subject, step.hook, talk.session, tx, outcome)


def _conclude(step: Step, answer: Answer | None, asked: list[Asked] | None = None) -> Result:
    if answer is None:
        question = step.ask()
        if question is not None:
            return _ask(step, question, asked)
        if asked is None:
            step.talk.began = 0.0
            return step.proceed(None)
    if answer is None or answer.decision.verdict is _ACCEPT:
        return _proceed(step, answer, asked)
    return _refuse(step, answer, asked)


async def _ask(step: Step, question: Question, asked: list[Asked] | None) -> Reply:
    """Proceed unless the last to be asked objects."""
    answer = await question
    if answer is not None:
        result = _refuse(step, answer, asked)
    else:
        result = step.proceed(None) if asked is None else _proceed(step, None, asked)
    return result if isinstance(result, Reply) else await result


def _proceed(step: Step, answer: Answer | None, asked: list[Asked] | None) -> Result:
    talk = step.talk
    result = step.proceed(answer)
    decided = Decided(step.hook, step.args, answer, asked or (), talk.take_seconds())
    if isinstance(result, Reply):
        talk.recorder.decided(talk.session, talk.tx, decided, result)
        return result
    return _record_later(talk, decided, result)


async def _record_later(
    talk: Conversation, decided: Decided, pending: Coroutine[Any, Any, Reply]
) -> Reply:
    reply = await pending
    talk.recorder.decided(talk.session, talk.tx, decided, reply)
    return reply


def _refuse(step: Step, answer: Answer, asked: list[Asked] | None) -> Result:
    talk = step.talk
    reply = refusal(talk, step.hook, answer, step.args, asked)
    result = step.refused(reply)
    delay = _delay(talk, step.hook, answer)
    if delay or not isinstance(result, Reply):
        return _refuse_later(talk, result, delay)
    return result


async def _refuse_later(talk: Conversation, result: Result, delay: float) -> Reply:
    reply = result if isinstance(result, Reply) else await result
    await wait(talk, delay)
    return reply


def _delay(talk: Conversation, hook: str, answer: Answer) -> float:
    """Return the seconds before a refusal is sent.

    At the header block there is no reply: the end of the message waits.
    """
    common = talk.setup.refusal_delay
    if not common or hook not in _OF_THE_MESSAGE:
        return answer.decision.delay
    return 0.0 if hook == "headers" else common


async def wait(talk: Conversation, seconds: float) -> None:
    """Wait before a reply is sent."""
    if seconds:
        await need_task()
        await talk.setup.clock.sleep(seconds)


def refusal(
    talk: Conversation,
    hook: str,
    answer: Answer,
    args: tuple[Any, ...] = (),
    asked: list[Asked] | None = None,
) -> Reply:
    """Record a refusal and return its reply, with the reference that it is looked up by."""
    reply = reply_for(hook, answer.decision).with_reference(talk.reference)
    decided = Decided(hook, args, answer, asked or (), talk.take_seconds())
    talk.recorder.decided(talk.session, talk.tx, decided, reply)
    return reply
