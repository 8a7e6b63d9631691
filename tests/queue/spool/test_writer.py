"""The writing thread of a spool file: messages are committed, a damaged file is replaced."""

import asyncio
import sqlite3

import pytest
from tests.queue.spool.samples import NOW, Claims, new_message, open_store

from gatepost.queue.spool.writer import start_writer


def no_replacement(store):
    raise OSError("no room")


def run(tmp_path, scenario, replace=no_replacement):
    async def main():
        writer = start_writer(open_store(tmp_path / "1.db"), replace)
        try:
            return await scenario(writer)
        finally:
            await writer.close()

    return asyncio.run(asyncio.wait_for(main(), 60))


def put(writer):
    return writer.submit(lambda store: store.put(new_message()))


def damaged(store):
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    raise error


def test_a_failing_job_does_not_affect_other_messages(tmp_path):
    def fail(store):
        store.put(new_message())
        raise RuntimeError("broken")

    async def scenario(writer):
        jobs = [put(writer), writer.submit(fail), put(writer)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(one) for one in results] == [int, RuntimeError, int]
        taken = await writer.submit(lambda store: store.take(NOW, 10, Claims()))
        assert len(taken.jobs) == 2

    run(tmp_path, scenario)


def test_a_damaged_file_is_replaced_and_the_job_runs_again(tmp_path):
    def replace(store, problem):
        assert problem == "database disk image is malformed"
        store.close()
        return open_store(tmp_path / "2.db")

    async def scenario(writer):
        await put(writer)

        def fail_in_first(store):
            if store.path.name == "1.db":
                damaged(store)
            return store.path.name

        assert await writer.submit(fail_in_first) == "2.db"

    run(tmp_path, scenario, replace)


def test_without_a_replacement_the_damage_is_raised(tmp_path):
    async def scenario(writer):
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            await writer.submit(damaged)
        await put(writer)

    run(tmp_path, scenario)
