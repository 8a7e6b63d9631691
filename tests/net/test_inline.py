"""Coroutines run in place until they have to wait."""

import asyncio

import pytest

from gatepost.net.inline import UNFINISHED, finish, first_step, need_task


def test_a_coroutine_that_does_not_wait_runs_without_a_loop():
    async def work():
        return 5

    assert first_step(work()) == 5


def test_an_exception_is_raised_by_first_step():
    async def work():
        raise KeyError("x")

    with pytest.raises(KeyError):
        first_step(work())


def test_a_coroutine_that_has_to_wait_continues_in_a_task():
    steps = []

    async def work():
        steps.append("before")
        await need_task()
        steps.append(asyncio.current_task())
        await asyncio.sleep(0)
        return "done"

    async def scenario():
        coroutine = work()
        assert first_step(coroutine) is UNFINISHED
        assert steps == ["before"]
        task = asyncio.ensure_future(finish(coroutine))
        assert await task == "done"
        assert steps == ["before", task]

    asyncio.run(scenario())


def test_in_a_task_the_marker_does_not_suspend():
    async def work():
        await need_task()
        return "done"

    assert asyncio.run(work()) == "done"


def test_first_step_inside_a_task_is_left_unfinished_too():
    async def work():
        await need_task()
        return "done"

    async def scenario():
        coroutine = work()
        assert first_step(coroutine) is UNFINISHED
        return await finish(coroutine)

    assert asyncio.run(scenario()) == "done"
