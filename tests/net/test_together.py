"""Coroutines that run at the same time, with a task only for those that wait."""

import asyncio

import pytest

from gatepost.net.ask import ask
from gatepost.net.inline import need_task
from gatepost.net.questions import ABSENT, EMPTY, Answer, Question, ask_one
from gatepost.net.together import together, within
from gatepost.testing import FakeResolver


async def value(result):
    return result


async def failing():
    raise ValueError("wrong")


async def turn(result):
    await asyncio.sleep(0)
    return result


async def after_need_task(result):
    await need_task()
    return await turn(result)


async def for_ever():
    await asyncio.Event().wait()


def run(*coroutines, **options):
    return asyncio.run(together(*coroutines, **options))


def test_results_have_the_order_of_the_coroutines():
    assert run(turn(1), value(2), after_need_task(3), value(4)) == [1, 2, 3, 4]


def test_nothing_runs_without_coroutines():
    assert run() == []


@pytest.mark.parametrize(
    ("coroutine", "result"),
    [(for_ever, asyncio.CancelledError), (failing, ValueError), (lambda: after_need_task(3), int)],
)
def test_a_coroutine_that_waits_for_too_long_is_cancelled(coroutine, result):
    assert type(asyncio.run(within(0.01 if result is not int else 60.0, coroutine()))) is result


def test_a_check_that_waits_for_too_long_gets_failures():
    class Slow(FakeResolver):
        async def a(self, name):
            self.asked.append(name)
            await asyncio.Event().wait()

    def check():
        first, gone = yield [Question("A", "slow.example"), Question("TXT", "gone.example")]
        (second,) = yield [Question("A", "later.example")]
        return [one.status for one in (first, gone, second)]

    resolver = Slow()
    assert asyncio.run(ask(check(), resolver, limit=0.05)) == ["failed"] * 3
    assert resolver.asked == ["slow.example", "TXT gone.example"]


def test_an_exception_is_a_result():
    first, second = run(failing(), turn(2))
    assert (type(first), second) == (ValueError, 2)


def test_a_coroutine_that_does_not_wait_has_no_task():
    async def count():
        before = len(asyncio.all_tasks())
        await together(value(1), value(2))
        return len(asyncio.all_tasks()) - before

    assert asyncio.run(count()) == 0


def test_the_rest_is_cancelled_once_the_result_is_found():
    results = run(for_ever(), turn(7), for_ever(), until=lambda one: one == 7)
    assert [type(one) for one in results] == [asyncio.CancelledError, int, asyncio.CancelledError]


def test_a_result_that_is_there_at_once_ends_the_wait():
    first, second = run(for_ever(), value(7), until=lambda one: one == 7)
    assert (type(first), second) == (asyncio.CancelledError, 7)


def test_all_are_waited_for_if_the_result_is_not_found():
    assert run(turn(1), turn(2), until=lambda one: one == 7) == [1, 2]


def test_a_cancelled_caller_cancels_all():
    ended = []

    async def wait(name):
        try:
            await for_ever()
        finally:
            ended.append(name)

    async def play():
        task = asyncio.create_task(together(wait("a"), wait("b")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(play())
    assert sorted(ended) == ["a", "b"]


DNS = FakeResolver(
    mx={"client.example": [(10, "mx.client.example")]},
    txt={"client.example": "v=spf1 -all"},
    fail=["failing.example"],
)


def test_a_check_is_sent_the_answers_to_its_questions():
    def check():
        first = yield from ask_one("TXT", "client.example")
        rest = yield [
            Question("MX", "client.example"),
            Question("A", "client.example"),
            Question("A", "absent.example"),
            Question("A", "failing.example"),
        ]
        return [first, *rest]

    seen = []
    answers = asyncio.run(ask(check(), DNS, lambda question, _: seen.append(str(question))))
    assert answers == [
        Answer("found", ["v=spf1 -all"]),
        Answer("found", [(10, "mx.client.example")]),
        EMPTY,
        ABSENT,
        Answer("failed", (), "failing.example: no answer"),
    ]
    assert seen[0] == "TXT client.example"
    assert len(seen) == 5


def test_a_check_without_questions_has_its_result():
    def check():
        return 7
        yield ()

    assert asyncio.run(ask(check(), DNS)) == 7
