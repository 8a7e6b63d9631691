"""Readable messages of a damaged file are recovered once, despite interruptions."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import msgspec
import pytest
from tests.queue.fakes import LATER, Bench, Target, recovered, run
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.waiting import until

from gatepost.queue import recovery
from gatepost.queue.recovery import put_back
from gatepost.queue.spool.corrupt import corrupt_files, rename_damaged
from gatepost.queue.spool.salvage import salvage

MOMENT = "20240101T000000.000000"
COUNT = 35
NEVER = 4e9
SHARED = shutil.ignore_patterns("*-shm")
TO = recipient("a@one.example", "one.example")


def damaged_file(folder, number=1, count=COUNT, prefix="s"):
    """Create a damaged file with messages; return their references."""
    (folder / "spool").mkdir(exist_ok=True)
    path = folder / "spool" / f"{number}.db"
    refs = [f"{prefix}-1.{at}" for at in range(count)]
    with store_at(path) as store:
        new_messages = [new_message(TO, of=facts(ref)) for ref in refs]
        put(store, *[msgspec.structs.replace(one, expires=NEVER) for one in new_messages])
    rename_damaged(path, MOMENT)
    return refs


def names(folder):
    return sorted(one.path.name for one in corrupt_files(folder / "spool"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 10)


async def deliveries(bench, count):
    """Wait for this number of deliveries; return their references."""
    while len(bench.target.delivered) < count:
        for one in bench.queue.files:
            one.runner.tick()
        await asyncio.sleep(0.001)
    await bench.run_until_idle()
    return sorted(bench.target.refs())


def test_a_damaged_file_is_recovered_at_the_next_start(tmp_path):
    refs = damaged_file(tmp_path)

    async def scenario(bench):
        await recovered(bench)
        assert await deliveries(bench, COUNT) == sorted(refs)
        assert await bench.rows("SELECT * FROM salvage") == []

    run(tmp_path, scenario)
    assert names(tmp_path) == [f"1.db.damaged-{MOMENT}.0-unreadable"]


def interrupting(monkeypatch, then, after=2):
    """Call `then` in the middle of each batch after the first ones."""
    count = iter(range(after))

    def put_some_back(store, *args, **options):
        after = put_back(store, *args, **options)
        if next(count, None) is None:
            then()
        return after

    monkeypatch.setattr(recovery, "put_back", put_some_back)


def full():
    raise sqlite3.OperationalError("database or disk is full")


def test_recovery_continues_after_a_full_disk(tmp_path, monkeypatch):
    refs, failures = damaged_file(tmp_path), iter(range(3))
    monkeypatch.setattr(recovery, "PAUSE", 0.0)
    interrupting(monkeypatch, lambda: next(failures, None) is None or full())

    async def scenario(bench):
        await recovered(bench)
        assert await deliveries(bench, COUNT) == sorted(refs)

    run(tmp_path, scenario)


def test_recovery_continues_after_a_stop_without_duplicates(tmp_path, monkeypatch):
    refs = damaged_file(tmp_path)
    target = Target()
    with monkeypatch.context() as patch:
        interrupting(patch, full)

        async def first(bench):
            assert len(await deliveries(bench, 20)) == 20

        run(tmp_path, first, target)
    assert names(tmp_path) == [f"1.db.salvage-{MOMENT}"]

    async def second(bench):
        await recovered(bench)
        assert await deliveries(bench, COUNT) == sorted(refs)

    run(tmp_path, second, target)


def test_recovery_continues_after_a_crash_without_duplicates(tmp_path, monkeypatch):
    """The folder is copied while a batch is written, as a killed process leaves it."""
    live, crashed = tmp_path / "live", tmp_path / "crashed"
    live.mkdir()
    refs = damaged_file(live)
    with monkeypatch.context() as patch:
        interrupting(
            patch, lambda: crashed.exists() or shutil.copytree(live, crashed, ignore=SHARED)
        )
        run(live, recovered, Target({"one.example": LATER}))

    async def scenario(bench):
        await recovered(bench)
        bench.clock.move(1000)
        assert await deliveries(bench, COUNT) == sorted(refs)
        (last,) = await bench.rows("SELECT seq FROM sqlite_sequence WHERE name = 'message'")
        assert last == (COUNT,)

    run(crashed, scenario, Target())


def test_two_workers_recover_each_file_once(tmp_path):
    refs = damaged_file(tmp_path, 1, prefix="a") + damaged_file(tmp_path, 2, prefix="b")
    refs += damaged_file(tmp_path, 3, prefix="c")
    target = Target()

    async def scenario(bench):
        async with Bench(tmp_path, target) as other:
            await asyncio.gather(*(one.queue.adopt() for one in (bench, other) * 2))
            await recovered(bench)
            await recovered(other)
            while len(target.delivered) < 3 * COUNT:
                for one in (*bench.queue.files, *other.queue.files):
                    one.runner.tick()
                await asyncio.sleep(0.001)
            await bench.run_until_idle()
            await other.run_until_idle()

    run(tmp_path, scenario, target)
    assert sorted(target.refs()) == sorted(refs)
    assert all("0-unreadable" in name for name in names(tmp_path))


def test_an_adopted_file_stays_until_it_is_recovered(tmp_path, monkeypatch):
    refs = damaged_file(tmp_path, 7)
    with store_at(tmp_path / "spool" / "1.db"):
        pass
    room = []
    monkeypatch.setattr(recovery, "PAUSE", 0.0)
    interrupting(monkeypatch, lambda: room or full(), after=0)

    async def scenario(bench):
        await bench.queue.adopt()
        await bench.queue.adopt()
        assert (tmp_path / "spool" / "7.db").exists()
        room.append(True)
        await recovered(bench)
        assert await deliveries(bench, COUNT) == sorted(refs)
        await until(lambda: bench.queue.files[1].runner.is_idle)
        await bench.queue.adopt()
        assert not (tmp_path / "spool" / "7.db").exists()

    run(tmp_path, scenario)
    assert names(tmp_path) == [f"7.db.damaged-{MOMENT}.0-unreadable"]


def test_unreadable_messages_are_counted(tmp_path):
    damaged_file(tmp_path)
    with closing(sqlite3.connect(tmp_path / "spool" / f"1.db.salvage-{MOMENT}")) as connection:
        connection.execute("UPDATE message SET facts = '{' WHERE id IN (3, 30)")
        connection.commit()

    async def scenario(bench):
        await recovered(bench)
        assert len(await deliveries(bench, COUNT - 2)) == COUNT - 2

    run(tmp_path, scenario)
    assert names(tmp_path) == [f"1.db.damaged-{MOMENT}.2-unreadable"]


def test_damage_during_recovery_loses_no_message(tmp_path, monkeypatch):
    refs = damaged_file(tmp_path)
    monkeypatch.setattr(recovery, "PAUSE", 0.0)

    def damage():
        if len(corrupt_files(tmp_path / "spool")) == 1:
            error = sqlite3.DatabaseError("malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    interrupting(monkeypatch, damage)

    async def scenario(bench):
        await recovered(bench)
        await deliveries(bench, COUNT)
        assert set(bench.target.refs()) == set(refs)

    run(tmp_path, scenario)
    assert all("0-unreadable" in name for name in names(tmp_path))


def test_batches_are_limited_by_octets(tmp_path, monkeypatch):
    monkeypatch.setattr(recovery, "OCTETS", 1)
    damaged_file(tmp_path, count=3)
    with closing(salvage(tmp_path / "spool" / f"1.db.salvage-{MOMENT}")) as findings:
        assert [len(recovery.read_batch(findings)) for _ in range(4)] == [1, 1, 1, 0]
