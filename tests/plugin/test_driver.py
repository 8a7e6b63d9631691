"""Coroutines that start in place and continue in a task only if they wait."""

import asyncio

import pytest

from gatepost.net.inline import UNFINISHED, finish, first_step, need_task
from gatepost.plugin.continuation import Continuation, Exit
from gatepost.plugin.driver import Driver


def run(scenario):
    async def wrapped():
        driver = Driver()
        try:
            return await scenario(driver)
        finally:
            driver.close()

    return asyncio.run(wrapped())


def begin(driver, *coroutines):
    """Start coroutines as a chain does; return the result of the last one."""
    assert driver.enter()
    try:
        for coroutine in coroutines:
            result = driver.start(coroutine)
    finally:
        driver.leave()
    return result


async def at_once(value=1):
    return value


async def waiting(event, value=1):
    await event.wait()
    return value


async def other_tasks():
    return asyncio.all_tasks() - {asyncio.current_task()}


def test_a_coroutine_that_does_not_wait_needs_no_task_of_its_own():
    async def scenario(driver):
        results = [begin(driver, at_once(number)) for number in range(100)]
        assert results == list(range(100))
        return len(await other_tasks())

    assert run(scenario) == 1  # the spare one


def test_an_exception_is_raised_in_place():
    async def failing():
        raise KeyError("x")

    async def scenario(driver):
        with pytest.raises(KeyError):
            begin(driver, failing())
        return begin(driver, at_once())

    assert run(scenario) == 1


def test_a_coroutine_that_waits_continues_in_a_task():
    async def scenario(driver):
        event = asyncio.Event()
        tasks = [begin(driver, waiting(event, number)) for number in range(3)]
        assert [task.done() for task in tasks] == [False] * 3
        await asyncio.sleep(0)
        event.set()
        return await asyncio.gather(*tasks)

    assert run(scenario) == [0, 1, 2]


def test_a_bare_yield_continues():
    async def twice():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def scenario(driver):
        task = begin(driver, twice())
        assert await task is task

    run(scenario)


def test_the_current_task_is_the_one_that_continues():
    seen = []

    async def method():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def scenario(driver):
        outside = asyncio.current_task()
        task = begin(driver, method())
        assert asyncio.current_task() is outside
        await task
        assert seen == [task, task]

    run(scenario)


def test_a_timeout_that_begins_in_place_ends_the_wait():
    async def method():
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"

    async def scenario(driver):
        return await begin(driver, method())

    assert run(scenario) == "timed out"


def test_a_task_group_that_begins_in_place_works():
    async def method():
        async with asyncio.TaskGroup() as group:
            one = group.create_task(at_once(1))
            other = group.create_task(at_once(2))
        return one.result() + other.result()

    async def scenario(driver):
        return await begin(driver, method())

    assert run(scenario) == 3


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("bare", [False, True])
def test_a_cancellation_reaches_the_coroutine_at_any_time(turns, bare):
    ended = []

    async def method():
        try:
            for _ in range(10 if bare else 0):
                await asyncio.sleep(0)
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def scenario(driver):
        task = begin(driver, method())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    run(scenario)
    assert ended == [True]


def test_a_cancellation_just_after_the_start_cancels_what_is_awaited():
    async def scenario(driver):
        inner = asyncio.get_running_loop().create_future()

        async def method():
            await inner

        task = begin(driver, method())
        task.cancel()
        await asyncio.wait({task})
        return inner.cancelled()

    assert run(scenario)


def test_a_coroutine_that_cancels_its_task_in_place_does_not_harm_the_next():
    async def cancelling():
        asyncio.current_task().cancel()
        return 1

    async def scenario(driver):
        assert begin(driver, cancelling()) == 1
        event = asyncio.Event()
        task = begin(driver, waiting(event))
        event.set()
        return await task

    assert run(scenario) == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_a_task_is_a_result(error):
    async def method():
        await asyncio.sleep(0)
        raise error

    async def scenario(driver):
        return await begin(driver, method())

    assert isinstance(run(scenario), Exit)


def test_a_session_that_runs_in_place_can_start_a_coroutine():
    """Without a task: as when the event loop calls the connection."""

    async def scenario(driver):
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        event = asyncio.Event()

        async def session():
            assert begin(driver, at_once()) == 1
            pending = begin(driver, waiting(event))
            await need_task()
            return await pending

        def called():
            coroutine = session()
            assert first_step(coroutine) is UNFINISHED
            event.set()
            task = loop.create_task(finish(coroutine))
            task.add_done_callback(lambda ended: done.set_result(ended.result()))

        loop.call_soon(called)
        return await done

    assert run(scenario) == 1


def test_another_loop_gets_another_task():
    driver = Driver()

    async def scenario():
        try:
            return begin(driver, at_once())
        finally:
            await asyncio.sleep(0)

    assert [asyncio.run(scenario()) for _ in range(2)] == [1, 1]


def test_closing_ends_the_spare_task():
    async def scenario():
        driver = Driver()
        begin(driver, at_once())
        driver.close()
        driver.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await other_tasks()

    assert asyncio.run(scenario()) == set()


def test_a_coroutine_that_is_never_finished_is_closed():
    ended = []

    async def method():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    loop = asyncio.new_event_loop()

    async def scenario():
        begin(Driver(), method())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(scenario())
    for task in asyncio.all_tasks(loop):
        task.get_coro().close()
    loop.close()
    assert ended == [True]


def test_several_coroutines_start_in_one_go():
    async def scenario(driver):
        event = asyncio.Event()
        task = begin(driver, at_once(1), at_once(2), waiting(event, 3))
        event.set()
        return await task

    assert run(scenario) == 3


def test_it_is_entered_once():
    async def scenario(driver):
        current = asyncio.current_task()
        assert driver.enter()
        assert not driver.enter()
        driver.leave()
        return asyncio.current_task() is current

    assert run(scenario)


def test_a_continuation_is_awaited_by_its_task_only():
    async def scenario(_driver):
        continuation = Continuation(asyncio.get_running_loop())
        with pytest.raises(TypeError, match="belongs to its task"):
            await continuation
        continuation.task.cancel()

    run(scenario)
