"""Run a check on an event loop: answer its questions with a resolver, for a limited time.

A check asks its questions one after the other, up to some 20 of them (SPF). With slow name servers
their sum would exceed the time of a hook, and a failed hook defers the mail. So after `LIMIT`
seconds all further questions fail, and the result is that of a DNS failure.
"""

import time
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gatepost.net.questions import ABSENT, Answer, Check, Question, found
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import Resolver
from gatepost.net.together import together, within

# RFC 7208 section 4.6.4: at least 20 seconds. The time of a hook is 30 seconds.
LIMIT = 20.0
LATE = Answer("failed", (), f"no answer within {LIMIT:g} seconds for all questions together")

T = TypeVar("T")
Trace = Callable[[Question, Answer], Any]


async def ask(
    check: Check[T], resolver: Resolver, trace: Trace | None = None, *, limit: float = LIMIT
) -> T:
    """Return the result of a check; `trace` is called with each question and its answer.

    `limit` is the time in seconds for all answers.
    """
    end = time.monotonic() + limit
    answers: Sequence[Answer] | None = None
    while True:
        try:
            questions = check.send(answers) if answers is not None else next(check)
        except StopIteration as done:
            result: T = done.value
            return result
        answers = await _answers(questions, resolver, end)
        if trace is not None:
            for question, answer in zip(questions, answers, strict=True):
                trace(question, answer)


async def _answers(
    questions: Sequence[Question], resolver: Resolver, end: float
) -> Sequence[Answer]:
    left = end - time.monotonic()
    if left <= 0:
        return [LATE] * len(questions)
    found = await within(left, _round(questions, resolver))
    if isinstance(found, CancelledError):
        return [LATE] * len(questions)
    if isinstance(found, BaseException):
        raise found
    answers: Sequence[Answer] = found
    return answers


async def _round(questions: Sequence[Question], resolver: Resolver) -> Sequence[Answer]:
    if len(questions) == 1:
        return (await _answer(questions[0], resolver),)
    return await together(*(_answer(one, resolver) for one in questions))


async def _answer(question: Question, resolver: Resolver) -> Answer:
    try:
        return found(await getattr(resolver, question.kind.lower())(question.name))
    except NoSuchNameError:
        return ABSENT
    except ResolveError as error:
        return Answer("failed", (), str(error))
