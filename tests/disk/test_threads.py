"""A thread has ended before its caller continues, even if the caller was cancelled."""

import asyncio
import threading

import pytest

from gatepost.disk.threads import run_to_end


def in_thread(work):
    return asyncio.get_running_loop().run_in_executor(None, work)


def test_the_result_of_the_thread_is_returned():
    async def scenario():
        return await run_to_end(in_thread(lambda: 7), cancel=lambda: None)

    assert asyncio.run(scenario()) == 7


def test_the_error_of_the_thread_is_raised():
    def fail():
        raise OSError("broken")

    async def scenario():
        await run_to_end(in_thread(fail), cancel=lambda: None)

    with pytest.raises(OSError, match="broken"):
        asyncio.run(scenario())


def test_a_cancelled_caller_waits_for_the_thread():
    may_end, ended = threading.Event(), []

    def work():
        may_end.wait(60)
        ended.append(True)

    async def scenario():
        caller = asyncio.ensure_future(run_to_end(in_thread(work), cancel=may_end.set))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ended

    asyncio.run(scenario())
