"""Coroutines run in place until they have to wait."""

import asyncio

import pytest

from gatepost.plugin.inline import UNFINISHED, finish, first_step, need_task


def test_a_coroutine_that_does_not_wait_runs_without_a_loop():
    async def work():
        return 5

    assert first_step(work()) == 5


def test_an_exception_comes_out_where_the_coroutine_was_run():
    async def work():
        raise KeyError("x")

    with pytest.raises(KeyError):
        first_step(work())


def test_one_that_has_to_wait_goes_on_in_a_task_where_it_stopped():
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


def test_in_a_task_of_its_own_nothing_is_left_unfinished():
    async def work():
        await need_task()
        return "done"

    assert asyncio.run(work()) == "done"


def test_under_first_step_a_task_is_asked_for_even_inside_another_task():
    async def work():
        await need_task()
        return "done"

    async def scenario():
        coroutine = work()
        assert first_step(coroutine) is UNFINISHED
        return await finish(coroutine)

    assert asyncio.run(scenario()) == "done"
