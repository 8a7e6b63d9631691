"""Deliveries to a target that has nothing to wait for run in place, without a task."""

import asyncio
import sqlite3

from tests.queue.fakes import Target, message, recipient, run, transaction
from tests.waiting import until

from gatepost.queue import spool_access
from gatepost.queue.spool.store import Store


class InPlace(Target):
    """Accepts messages without waiting; a domain in `answers` has an error to raise."""

    def deliver(self, delivery):
        domain = delivery.recipients[0].domain
        self.tried.append((domain, delivery.transaction.id))
        answer = self.answers.get(domain)
        if answer is not None:
            raise answer
        self.delivered.append((delivery.transaction.id, [], bytes(delivery.message)))


def put(bench, address="one@open.example", ref="s-1.1"):
    return bench.queue.put(transaction(ref=ref), [recipient(address)], message())


def test_a_message_is_delivered_without_a_task(tmp_path):
    async def scenario(bench):
        await put(bench)
        tasks = len(asyncio.all_tasks())
        await put(bench)
        assert len(bench.target.delivered) == 2
        assert len(asyncio.all_tasks()) == tasks
        await bench.run_until_idle()
        assert bench.runner.is_idle
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, InPlace())


def test_a_message_is_delivered_even_if_its_client_has_gone(tmp_path):
    async def scenario(bench):
        put(bench).cancel()
        await put(bench, ref="s-1.2")
        assert bench.target.refs() == ["s-1.1", "s-1.2"]

    run(tmp_path, scenario, InPlace())


def test_messages_that_waited_for_a_slot_are_delivered_in_place(tmp_path):
    """They are delivered one after the other, not within each other."""
    count = 400

    class SlowFirst(InPlace):
        may_end = asyncio.Event()

        def deliver(self, delivery):
            super().deliver(delivery)
            return self.wait() if len(self.tried) == 1 else None

        async def wait(self):
            await self.may_end.wait()

    async def scenario(bench):
        await asyncio.gather(*(put(bench, ref=f"s-1.{number}") for number in range(count)))
        assert len(bench.target.tried) == 1
        bench.target.may_end.set()
        await bench.run_until_idle()
        assert len(bench.target.tried) == count
        assert bench.runner.is_idle

    run(tmp_path, scenario, SlowFirst(), concurrency=1)


def test_a_faulty_target_does_not_affect_others(tmp_path):
    async def scenario(bench):
        await asyncio.gather(
            put(bench, "one@faulty.example", "s-1.1"),
            put(bench, "one@cancels.example", "s-1.2"),
            put(bench, "one@open.example", "s-1.3"),
        )
        assert bench.target.refs() == ["s-1.3"]

    answers = {"faulty.example": RuntimeError(), "cancels.example": asyncio.CancelledError()}
    run(tmp_path, scenario, InPlace(answers))


def test_a_result_that_cannot_be_saved_is_saved_later(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_access, "PAUSE", 0.001)
    real, failures = Store.record, [sqlite3.OperationalError("database or disk is full")] * 3

    def record(store, result):
        if failures:
            raise failures.pop()
        real(store, result)

    monkeypatch.setattr(Store, "record", record)

    async def scenario(bench):
        await put(bench)
        await until(lambda: bench.runner.is_idle)
        assert failures == []
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.1"]

    run(tmp_path, scenario, InPlace())


def test_a_fault_while_a_result_is_recorded_does_not_end_the_queue(tmp_path, monkeypatch):
    real, target = Store.record, InPlace()

    def record(store, result):
        if len(target.tried) == 1:
            raise ValueError("fault")
        real(store, result)

    monkeypatch.setattr(Store, "record", record)
    monkeypatch.setattr("gatepost.queue.runner.PAUSE", 0.001)

    async def scenario(bench):
        await put(bench)
        await until(lambda: bench.runner.is_idle)
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.1"] * 2

    run(tmp_path, scenario, target)
