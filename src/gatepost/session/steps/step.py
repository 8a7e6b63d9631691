"""One step of a session: how a command is decided, and its effect.

Theory of operation
-------------------
Every command takes the same way:

    begin    return the arguments of the plugins' methods; traps are looked up here
    observe  call every plugin's observer
    rule     the core's own decision (`gatepost.session.rules`), which may ask who is local
    decide   ask plugins in order, if the core has no opinion
    ask      ask the next hop or the users file, if no plugin has an opinion
    proceed  the command takes effect, or
    refused  a refusal undoes what it must
    follow   call every plugin that follows the outcome, `after_any` last

A row's type parameters are the event and the types of the arguments, so that the type checker
compares the functions of a row with each other.

`run` returns a reply, or a coroutine that ends with one. If no plugin at a hook observes, follows
or waits, there is no coroutine, because it would cost more than a plugin without an opinion. As
long as no plugin and no target waits, a coroutine never suspends, so that `gatepost.net.inline`
runs it in place.

Security: a refusal's text comes from the core, the configuration or a plugin, never from an
exception.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar, TypeVarTuple, Unpack

from gatepost.model.decision import Verdict
from gatepost.model.reply import Reply
from gatepost.model.session import Transaction
from gatepost.net.inline import need_task
from gatepost.plugin.chain import Answer, Asked, Chain, Outcome
from gatepost.plugin.hooks import reply_for
from gatepost.session.conversation import Conversation, Result
from gatepost.session.recorder import Decided
from gatepost.session.rules import Ruling

# The last to decide, which may have to wait.
Question = Awaitable[Answer | None]

E_contra = TypeVar("E_contra", contravariant=True)
Args = TypeVarTuple("Args")

_NO_CHAIN: Final = Chain()

# The hooks whose refusals all wait for `smtp.refusal_delay`.
_OF_THE_MESSAGE: Final = frozenset({"data", "headers", "message"})


class Step(Generic[E_contra, *Args]):
    """One row; the module describes its columns. In the compiled build this is a native class."""

    __slots__ = ("ask", "begin", "hook", "proceed", "refused", "rule")

    def __init__(  # noqa: PLR0917 - the order is that of the columns
        self,
        hook: str,
        begin: Callable[[Conversation, E_contra], tuple[*Args]],
        proceed: Callable[[Conversation, Answer | None, Unpack[Args]], Result],
        rule: Callable[[Conversation, Unpack[Args]], Ruling] | None = None,
        refused: Callable[[Conversation, Reply, Unpack[Args]], Awaitable[None] | None]
        | None = None,
        ask: Callable[[Conversation, Unpack[Args]], Question | None] | None = None,
    ) -> None:
        self.hook = hook
        self.begin = begin
        self.proceed = proceed
        self.rule = rule
        self.refused = refused
        self.ask = ask


def run(talk: Conversation, step: Step[E_contra, *Args], event: E_contra) -> Result:
    """Take an event through its step, from `begin` to `follow`."""
    args = step.begin(talk, event)
    chain = talk.chains.get(step.hook)
    talk.began = 0.0 if chain is None else time.monotonic()
    if talk.asks_for_times or not (chain is None or chain.only_decides):
        return _consult(talk, step, _NO_CHAIN if chain is None else chain, args)
    answer = None if step.rule is None else step.rule(talk, *args)
    if answer is None and chain is not None:
        answer = chain.ask(args)
        if answer is not None and not isinstance(answer, Answer):
            return _conclude_later(talk, step, None, answer, args)
        _record_refusals(talk, step.hook, args)
    if answer is None or isinstance(answer, Answer):
        return _conclude(talk, step, answer, args)
    return _conclude_later(talk, step, chain, answer, args)


async def _conclude_later(
    talk: Conversation,
    step: Step[E_contra, *Args],
    chain: Chain | None,
    pending: Question,
    args: tuple[*Args],
) -> Reply:
    """Wait for the core's rule, which has asked plugins who is local, or for a plugin.

    `chain` has the plugins that are still to be asked, None if they have been.
    """
    answer = await pending
    if answer is None and chain is not None:
        answer = await chain.decide(*args)
    _record_refusals(talk, step.hook, args)
    result = _conclude(talk, step, answer, args)
    return result if isinstance(result, Reply) else await result


async def _consult(
    talk: Conversation, step: Step[E_contra, *Args], chain: Chain, args: tuple[*Args]
) -> Reply:
    """Do the same with plugins: observe, decide, follow."""
    asked: list[Asked] | None = [] if talk.asks_for_times else None
    failure = await chain.observe(*args)
    ruling = None if step.rule is None else step.rule(talk, *args)
    if ruling is not None and not isinstance(ruling, Answer):
        ruling = await ruling
    answer = ruling or failure
    if answer is None:
        answer = await chain.decide(*args, asked=asked)
        _record_refusals(talk, step.hook, args)
    result = _conclude(talk, step, answer, args, asked if talk.detailed else None)
    reply = result if isinstance(result, Reply) else await result
    outcome = Outcome(reply, answer, asked or ())
    if chain.followers:
        await chain.follow(*args, outcome)
    if talk.after_any is not None:
        await _follow_any(talk, talk.after_any, step.hook, args, outcome)
    return reply


def _record_refusals(talk: Conversation, hook: str, args: tuple[Any, ...]) -> None:
    """Record the refusals of some of the recipients."""
    tx = talk.tx
    if tx is not None and tx.acting is not None and tx.acting.refusals:
        for answer, reply in tx.acting.refusals:
            talk.recorder.decided(talk.session, tx, Decided(hook, args, answer), reply)
        tx.acting.refusals = ()


async def _follow_any(
    talk: Conversation, chain: Chain, hook: str, args: tuple[Any, ...], outcome: Outcome
) -> None:
    """Call `after_any`; the first argument of the hook is for the plugins' scope."""
    subject = args[0]
    tx = subject if isinstance(subject, Transaction) else talk.tx
    await chain.follow(subject, hook, talk.session, tx, outcome)


def _conclude(
    talk: Conversation,
    step: Step[E_contra, *Args],
    answer: Answer | None,
    args: tuple[*Args],
    asked: list[Asked] | None = None,
) -> Result:
    if answer is None and step.ask is not None:
        question = step.ask(talk, *args)
        if question is not None:
            return _ask(talk, step, question, args, asked)
    if answer is None and asked is None:
        talk.began = 0.0
        return step.proceed(talk, None, *args)
    if answer is None or answer.decision.verdict is Verdict.ACCEPT:
        return _proceed(talk, step, answer, args, asked)
    return _refuse(talk, step, answer, args, asked)


async def _ask(
    talk: Conversation,
    step: Step[E_contra, *Args],
    question: Question,
    args: tuple[*Args],
    asked: list[Asked] | None,
) -> Reply:
    """Proceed unless the last to be asked objects."""
    answer = await question
    if answer is not None:
        return await _refuse(talk, step, answer, args, asked)
    result = (
        step.proceed(talk, None, *args)
        if asked is None
        else _proceed(talk, step, None, args, asked)
    )
    return result if isinstance(result, Reply) else await result


def _proceed(
    talk: Conversation,
    step: Step[E_contra, *Args],
    answer: Answer | None,
    args: tuple[*Args],
    asked: list[Asked] | None,
) -> Result:
    result = step.proceed(talk, answer, *args)
    decided = Decided(step.hook, args, answer, asked or (), talk.take_seconds())
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


async def _refuse(
    talk: Conversation,
    step: Step[E_contra, *Args],
    answer: Answer,
    args: tuple[*Args],
    asked: list[Asked] | None,
) -> Reply:
    reply = refusal(talk, step.hook, answer, args, asked)
    undone = None if step.refused is None else step.refused(talk, reply, *args)
    if undone is not None:
        await undone
    await wait(talk, _delay(talk, step.hook, answer))
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
