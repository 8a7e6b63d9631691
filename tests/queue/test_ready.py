"""What waits in memory for room is taken fairly, bounded, and dropped for a dead destination."""

import asyncio
import sqlite3

from tests.queue.fakes import DEAD, LATER, Target, run
from tests.queue.spool.samples import facts

from gatepost.queue.ready import MAX_PIECE, Ready, ReadyQueue
from gatepost.queue.spool.records import DeliveryJob
from gatepost.queue.spool.store import Store
from gatepost.queue.throttle import FAILURES


def offer(number, destination="one", first=b""):
    return Ready(DeliveryJob(number, facts(), 0, 0.0, 0.0, None, destination, [], first), None)


def numbers(offers):
    return [one.job.message for one in offers]


def test_destinations_take_turns():
    made = ReadyQueue()
    for number, name in enumerate(["one", "one", "two", "one"]):
        assert made.add(offer(number, name))
    assert numbers(made.take(lambda name: True)) == [0, 2, 1, 3]
    assert numbers(made.take(lambda name: True)) == []


def test_only_where_there_is_room():
    made = ReadyQueue()
    for number, name in enumerate(["one", "two"]):
        made.add(offer(number, name))
    assert numbers(made.take(lambda name: name == "two")) == [1]
    assert numbers(made.drop("two")) == []
    assert numbers(made.drop("one")) == [0]
    assert numbers(made.drop_all()) == []


def test_all_of_it_can_be_dropped():
    made = ReadyQueue()
    for number, name in enumerate(["one", "two", "one"]):
        made.add(offer(number, name))
    assert numbers(made.drop_all()) == [0, 2, 1]
    assert numbers(made.take(lambda name: True)) == []


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("gatepost.queue.ready.MAX_JOBS", 2)
    made = ReadyQueue()
    assert not made.add(offer(0, first=b"x" * (MAX_PIECE + 1)))
    assert [made.add(offer(number)) for number in (1, 2, 3)] == [True, True, False]
    next(made.take(lambda name: True))
    assert made.add(offer(4))


def test_what_is_put_while_there_is_no_room_is_delivered_once_there_is(tmp_path):
    gate = asyncio.Event()
    target = Target({"a.example": gate})

    async def scenario(bench):
        for number in range(5):
            await bench.put("x@a.example", ref=f"s-{number}")
        await bench.run_until_idle()
        assert target.peak == {"a.example": 2}
        gate.set()
        await bench.run_until_idle()
        assert sorted(target.refs()) == [f"s-{number}" for number in range(5)]
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, target, concurrency_per_destination=2)


def test_what_waits_for_a_host_that_turns_out_dead_is_tried_again_later(tmp_path):
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


def test_what_waits_for_room_that_others_had_is_delivered_at_the_next_tick(tmp_path):
    """Several files share the room: it may become free where nobody of this one ends."""

    async def scenario(bench):
        gate = bench.queue.throttle
        gate.enter("a.example")
        await bench.put("x@a.example")
        await bench.run_until_idle()
        assert bench.target.tried == []
        gate.leave("a.example")
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.1"]

    run(tmp_path, scenario, concurrency_per_destination=1)


def test_what_was_removed_while_it_waited_for_room_is_not_delivered(tmp_path):
    async def scenario(bench):
        gate = bench.queue.throttle
        gate.enter("a.example")
        await bench.put("x@a.example")
        await bench.run_until_idle()
        await bench.rows("DELETE FROM recipient")
        await bench.run_until_idle()
        gate.leave("a.example")
        await bench.run_until_idle()
        assert bench.target.tried == []

    run(tmp_path, scenario, concurrency_per_destination=1)


async def taken(bench, count):
    """Wait until the target has had so much, without a tick."""
    while len(bench.target.delivered) < count:  # noqa: ASYNC110 - a target says nothing
        await asyncio.sleep(0)


def test_what_is_delivered_at_once_never_comes_to_the_tables(tmp_path):
    async def scenario(bench):
        await bench.run_until_idle()
        await bench.put("x@a.example", "y@b.example")
        await taken(bench, 2)
        await bench.run_until_idle()
        assert await bench.rows("SELECT * FROM sqlite_sequence") == []

    run(tmp_path, scenario)


def test_what_may_not_start_yet_goes_to_the_tables_at_once(tmp_path):
    target = Target({"a.example": [DEAD] * FAILURES})

    async def scenario(bench):
        for number in range(FAILURES):
            await bench.put("x@a.example", ref=f"s-{number}")
            await bench.run_until_idle()
        await bench.put("x@a.example", ref="s-new")
        assert await bench.rows("SELECT 1 FROM message WHERE ref = 's-new'") == [(1,)]

    run(tmp_path, scenario, target)


def test_where_the_tables_take_nothing_more_what_they_have_goes_on(tmp_path, monkeypatch, capsys):
    target = Target({"a.example": [LATER, None]})

    def full(store):
        raise sqlite3.OperationalError("database or disk is full")

    async def scenario(bench):
        await bench.put("x@a.example", ref="s-1")
        await bench.run_until_idle()
        with monkeypatch.context() as patched:
            patched.setattr(Store, "absorb", full)
            await bench.put("x@b.example", ref="s-2")
            await bench.run_until_idle(100_000)
            assert sorted(target.refs()) == ["s-1", "s-2"]
        assert "journal not emptied" in capsys.readouterr().out

    run(tmp_path, scenario, target, expire=1e7)
