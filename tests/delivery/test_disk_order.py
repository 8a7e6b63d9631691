"""Deliveries that use the disk: a few at a time, first messages in turn with further ones."""

import asyncio

from gatepost.delivery.disk_order import DiskOrder


class Deliveries:
    """Deliveries that hold their slot until they are ended; `begun` are their names."""

    def __init__(self, slots):
        self.order = DiskOrder(slots)
        self.begun = []
        self._ends = {}
        self.tasks = {}

    async def start(self, name, *, first):
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(name, first=first))
        await self.settle()

    async def _run(self, name, *, first):
        async with self.order.slot(first=first):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, name):
        self._ends[name].set()
        await self.settle()

    async def cancel(self, name):
        self.tasks[name].cancel()
        await self.settle()

    @staticmethod
    async def settle():
        for _ in range(5):
            await asyncio.sleep(0)


def test_a_slot_is_for_first_and_further_messages_in_turn():
    async def main():
        all_ = Deliveries(slots=1)
        await all_.start("running", first=False)
        for number in range(3):
            await all_.start(f"further {number}", first=False)
        await all_.start("first 0", first=True)
        await all_.start("first 1", first=True)
        for name in ("running", "first 0", "further 0", "first 1", "further 1"):
            await all_.end(name)
        return all_.begun

    assert asyncio.run(main()) == [
        "running",
        "first 0",
        "further 0",
        "first 1",
        "further 1",
        "further 2",
    ]


def test_a_delivery_that_is_cancelled_while_it_waits_takes_no_slot():
    async def main():
        all_ = Deliveries(slots=1)
        await all_.start("running", first=True)
        await all_.start("cancelled", first=True)
        await all_.start("next", first=True)
        await all_.cancel("cancelled")
        await all_.end("running")
        await all_.end("next")
        await all_.start("later", first=True)
        return all_.begun

    assert asyncio.run(main()) == ["running", "next", "later"]


def test_a_delivery_that_is_cancelled_as_it_is_admitted_gives_its_slot_back():
    async def main():
        all_ = Deliveries(slots=1)
        await all_.start("running", first=True)
        await all_.start("cancelled", first=True)
        all_._ends["running"].set()
        while all_.order._lines[0]:  # until it is admitted  # noqa: ASYNC110
            await asyncio.sleep(0)
        all_.tasks["cancelled"].cancel()
        await all_.settle()
        await all_.start("later", first=False)
        return all_.begun

    assert asyncio.run(main())[-1] == "later"


def test_slots_are_used_at_once():
    async def main():
        all_ = Deliveries(slots=3)
        for number in range(5):
            await all_.start(str(number), first=bool(number % 2))
        return all_.begun

    assert asyncio.run(main()) == ["0", "1", "2"]
