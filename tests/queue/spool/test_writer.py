"""The writing thread: groups share a commit, a failure stays its own, damage does not stop it."""

import asyncio
import sqlite3
import threading

import pytest
from tests.queue.spool.samples import NOW, Claims, new_message, open_store

from gatepost.queue.spool.writer import MAX_GROUP, Writer


class Counted:
    """A store that counts its commits, the first of which can be held up."""

    def __init__(self, store):
        self._store = store
        self.commits = 0
        self.may_commit = threading.Event()
        self.may_commit.set()

    def __getattr__(self, name):
        return getattr(self._store, name)

    def commit(self):
        self.commits += 1
        self.may_commit.wait(60)
        self._store.commit()


def run(tmp_path, scenario, replace=None):
    async def main():
        store = Counted(open_store(tmp_path / "1.db"))
        writer = Writer(store, replace)
        try:
            return await scenario(writer, store)
        finally:
            await writer.close()

    return asyncio.run(asyncio.wait_for(main(), 60))


def put(writer, **options):
    return writer.submit(lambda store: store.put(new_message(**options)))


def test_jobs_that_come_during_a_commit_share_the_next(tmp_path):
    async def scenario(writer, store):
        store.may_commit.clear()
        first = put(writer)
        while not store.commits:  # noqa: ASYNC110 - nobody says when a thread is there
            await asyncio.sleep(0)
        others = [put(writer) for _ in range(MAX_GROUP)]
        assert not first.done()
        store.may_commit.set()
        numbers = await asyncio.gather(first, *others)
        assert len(set(numbers)) == MAX_GROUP + 1
        assert store.commits == 2

    run(tmp_path, scenario)


def test_a_job_that_comes_alone_does_not_wait_for_company(tmp_path):
    async def scenario(writer, store):
        await put(writer)
        assert store.commits == 1

    run(tmp_path, scenario)


def test_a_failure_takes_no_other_job_with_it(tmp_path):
    def fail(store):
        store.put(new_message())
        raise RuntimeError("broken")

    async def scenario(writer, store):
        jobs = [put(writer), writer.submit(fail), put(writer)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(one) for one in results] == [int, RuntimeError, int]
        taken = await writer.submit(lambda store: store.take(NOW, 10, Claims()))
        assert len(taken.works) == 2

    run(tmp_path, scenario)


def test_a_job_nobody_waits_for_any_more_is_done_all_the_same(tmp_path):
    async def scenario(writer, store):
        put(writer).cancel()
        taken = await writer.submit(lambda store: store.take(NOW, 10, Claims()))
        assert len(taken.works) == 1

    run(tmp_path, scenario)


def test_closing_does_what_was_asked_for(tmp_path):
    async def scenario(writer, store):
        return put(writer)

    assert run(tmp_path, scenario).result() == 1


def damaged(store):
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    raise error


def test_a_damaged_file_is_replaced_and_the_job_done_again(tmp_path):
    def replace(store):
        store.close()
        return open_store(tmp_path / "2.db")

    async def scenario(writer, store):
        await put(writer)
        broken = []

        def once(store):
            if not broken:
                broken.append(store)
                damaged(store)
            return store.path.name

        assert await writer.submit(once) == "2.db"

    run(tmp_path, scenario, replace)


def test_where_no_other_file_can_be_made_the_damage_is_told(tmp_path):
    def replace(store):
        raise OSError("no room")

    async def scenario(writer, store):
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            await writer.submit(damaged)
        await put(writer)

    run(tmp_path, scenario, replace)


def test_what_can_wait_is_written_with_what_comes_next(tmp_path):
    async def scenario(writer, store):
        writer.submit_later(lambda store: store.put(new_message()))
        await put(writer)
        assert store.commits == 1

    run(tmp_path, scenario)


def test_what_can_wait_does_not_wait_for_ever(tmp_path):
    async def scenario(writer, store):
        assert await writer.submit_later(lambda store: store.put(new_message())) == 1
        assert store.commits == 1

    run(tmp_path, scenario)
