"""Run a check on an event loop: answer its questions with a resolver."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gatepost.net.questions import ABSENT, Answer, Check, Question, found
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import Resolver
from gatepost.net.together import together

T = TypeVar("T")
Trace = Callable[[Question, Answer], Any]


async def ask(check: Check[T], resolver: Resolver, trace: Trace | None = None) -> T:
    """Return the result of a check; `trace` is called with each question and its answer."""
    answers: Sequence[Answer] | None = None
    while True:
        try:
            questions = check.send(answers) if answers is not None else next(check)
        except StopIteration as done:
            result: T = done.value
            return result
        answers = await _answers(questions, resolver)
        if trace is not None:
            for question, answer in zip(questions, answers, strict=True):
                trace(question, answer)


async def _answers(questions: Sequence[Question], resolver: Resolver) -> Sequence[Answer]:
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
