"""A queue that is created when it is first used."""

import asyncio

import pytest

from gatepost.queue.on_demand import QueueOnDemand


class FakeQueue:
    paths = ("1.db",)

    def __init__(self, calls):
        self.calls = calls

    async def start(self):
        self.calls.append("start")

    async def stop(self, patience):
        self.calls.append(("stop", patience))

    async def put(self, *given, hold):
        self.calls.append(("put", given, hold))

    async def report_successes(self, *given):
        self.calls.append(("report", given))


@pytest.fixture
def calls():
    return []


@pytest.fixture
def queue(calls):
    def make():
        calls.append("make")
        return FakeQueue(calls)

    return QueueOnDemand(make)


def test_an_unused_queue_is_not_created(queue, calls):
    asyncio.run(queue.stop(1.0))
    assert (calls, queue.paths) == ([], [])


@pytest.mark.parametrize(
    ("use", "call"),
    [
        (lambda queue: queue.start(), "start"),
        (
            lambda queue: queue.put("tx", ["rcpt"], "message", hold="x"),
            ("put", ("tx", ["rcpt"], "message", None), "x"),
        ),
        (
            lambda queue: queue.report_successes("tx", "message", {}),
            ("report", ("tx", "message", {})),
        ),
    ],
)
def test_the_first_use_creates_the_queue(queue, calls, use, call):
    asyncio.run(use(queue))
    assert calls == ["make", call]
    assert queue.paths == ("1.db",)
    asyncio.run(queue.stop(2.0))
    assert calls == ["make", call, ("stop", 2.0)]


def test_two_uses_at_the_same_time_create_one_queue(queue, calls):
    async def scenario():
        await asyncio.gather(queue.start(), queue.start())

    asyncio.run(scenario())
    assert calls == ["make", "start", "start"]
