"""Ready jobs are taken fairly, limited in number, and dropped for a suspended destination."""

import asyncio
import sqlite3

from structlog.testing import capture_logs
from tests.queue.fakes import DEAD, LATER, Target, run
from tests.queue.spool.samples import facts

from gatepost.queue.ready import MAX_PIECE, Ready, ReadyQueue
from gatepost.queue.spool.records import DeliveryJob
from gatepost.queue.spool.store import Store
from gatepost.queue.throttle import FAILURES


def ready(number, destination="one", first=b""):
    return Ready(DeliveryJob(number, facts(), 0, 0.0, 0.0, None, destination, [], first), None)


def numbers(jobs):
    return [one.job.message for one in jobs]


def test_destinations_take_turns():
    made = ReadyQueue()
    for number, name in enumerate(["one", "one", "two", "one"]):
        assert made.add(ready(number, name))
    assert numbers(made.take(lambda name: True)) == [0, 2, 1, 3]
    assert numbers(made.take(lambda name: True)) == []


def test_only_destinations_with_room_are_taken():
    made = ReadyQueue()
    for number, name in enumerate(["one", "two"]):
        made.add(ready(number, name))
    assert numbers(made.take(lambda name: name == "two")) == [1]
    assert numbers(made.drop("two")) == []
    assert numbers(made.drop("one")) == [0]
    assert numbers(made.drop_all()) == []


def test_all_jobs_can_be_dropped():
    made = ReadyQueue()
    for number, name in enumerate(["one", "two", "one"]):
        made.add(ready(number, name))
    assert numbers(made.drop_all()) == [0, 2, 1]
    assert numbers(made.take(lambda name: True)) == []


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("gatepost.queue.ready.MAX_JOBS", 2)
    made = ReadyQueue()
    assert not made.add(ready(0, first=b"x" * (MAX_PIECE + 1)))
    assert [made.add(ready(number)) for number in (1, 2, 3)] == [True, True, False]
    next(made.take(lambda name: True))
    assert made.add(ready(4))


def test_a_message_without_a_free_slot_is_delivered_later(tmp_path):
    finish = asyncio.Event()
    target = Target({"a.example": finish})

    async def scenario(bench):
        for number in range(5):
            await bench.put("x@a.example", ref=f"s-{number}")
        await bench.run_until_idle()
        assert target.peak == {"a.example": 2}
        finish.set()
        await bench.run_until_idle()
        assert sorted(target.refs()) == [f"s-{number}" for number in range(5)]
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, target, concurrency_per_destination=2)


def test_ready_jobs_of_a_suspended_destination_are_tried_again_later(tmp_path):
    target = Target({"a.example": [DEAD, DEAD, DEAD, None]})

    async def scenario(bench):
        for number in range(6):
            await bench.put("x@a.example", ref=f"s-{number}")
        await bench.run_until_idle()
        assert len(target.tried) == 3
        for _ in range(8):
            await bench.run_until_idle(100_000)
        assert len(set(target.refs())) == 6

    run(tmp_path, scenario, target, concurrency_per_destination=1, expire=1e7)


def test_a_slot_freed_by_another_file_is_used_at_the_next_tick(tmp_path):
    """Several files share the slots: a delivery of another file may free one."""

    async def scenario(bench):
        throttle = bench.queue.throttle
        throttle.enter("a.example")
        await bench.put("x@a.example")
        await bench.run_until_idle()
        assert bench.target.tried == []
        throttle.leave("a.example")
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.1"]

    run(tmp_path, scenario, concurrency_per_destination=1)


def test_a_message_removed_while_it_is_ready_is_not_delivered(tmp_path):
    async def scenario(bench):
        throttle = bench.queue.throttle
        throttle.enter("a.example")
        await bench.put("x@a.example")
        await bench.run_until_idle()
        await bench.rows("DELETE FROM recipient")
        await bench.run_until_idle()
        throttle.leave("a.example")
        await bench.run_until_idle()
        assert bench.target.tried == []

    run(tmp_path, scenario, concurrency_per_destination=1)


async def taken(bench, count):
    """Wait for this number of deliveries, without a tick."""
    while len(bench.target.delivered) < count:  # noqa: ASYNC110 - a target sends no event
        await asyncio.sleep(0)


def test_a_message_delivered_at_once_never_reaches_the_tables(tmp_path):
    async def scenario(bench):
        await bench.run_until_idle()
        await bench.put("x@a.example", "y@b.example")
        await taken(bench, 2)
        await bench.run_until_idle()
        assert await bench.rows("SELECT * FROM sqlite_sequence") == []

    run(tmp_path, scenario)


def test_a_message_for_a_suspended_destination_goes_to_the_tables_immediately(tmp_path):
    target = Target({"a.example": [DEAD] * FAILURES})

    async def scenario(bench):
        for number in range(FAILURES):
            await bench.put("x@a.example", ref=f"s-{number}")
            await bench.run_until_idle()
        await bench.put("x@a.example", ref="s-new")
        assert await bench.rows("SELECT 1 FROM message WHERE ref = 's-new'") == [(1,)]

    run(tmp_path, scenario, target)


def test_jobs_of_full_tables_are_still_delivered(tmp_path, monkeypatch):
    target = Target({"a.example": [LATER, None]})

    def full(store):
        raise sqlite3.OperationalError("database or disk is full")

    async def scenario(bench):
        await bench.put("x@a.example", ref="s-1")
        await bench.run_until_idle()
        with monkeypatch.context() as patched, capture_logs() as events:
            patched.setattr(Store, "absorb", full)
            await bench.put("x@b.example", ref="s-2")
            await bench.run_until_idle(100_000)
            assert sorted(target.refs()) == ["s-1", "s-2"]
        assert "journal not emptied" in [one["event"] for one in events]

    run(tmp_path, scenario, target, expire=1e7)
