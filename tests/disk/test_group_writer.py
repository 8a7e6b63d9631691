"""Group commit: jobs share a commit, a failing job does not affect others, a broken database is
replaced."""

import asyncio
import threading

import pytest
from tests.waiting import until

from gatepost.disk.group_writer import MAX_GROUP, GroupWriter


class BrokenError(Exception):
    """The database itself is broken."""


class Database:
    """A list with transactions. It counts its commits; a test can block them."""

    def __init__(self, name="first"):
        self.name = name
        self.rows = []
        self.new = []
        self.commits = 0
        self.is_closed = False
        self.fails_to_begin = False
        self.may_commit = threading.Event()
        self.may_commit.set()

    def begin(self):
        if self.fails_to_begin:
            raise OSError("cannot begin")

    def commit(self):
        self.commits += 1
        self.may_commit.wait(60)
        self.rows += self.new
        self.new.clear()

    def roll_back(self):
        self.new.clear()

    def close(self):
        self.is_closed = True


def never(database, error):
    return None


def run(scenario, replace=never):
    database = Database()

    async def main():
        writer = GroupWriter(database, replace, name="test writer")
        try:
            return await scenario(writer, database)
        finally:
            await writer.close()

    return asyncio.run(asyncio.wait_for(main(), 60)), database


def adding(value):
    def add(database):
        database.new.append(value)
        return value

    return add


def failing(error):
    def fail(database):
        database.new.append("half")
        raise error

    return fail


def test_jobs_during_a_commit_share_the_next_one():
    async def scenario(writer, database):
        database.may_commit.clear()
        first = writer.submit(adding(0))
        await until(lambda: database.commits)
        others = [writer.submit(adding(number)) for number in range(1, MAX_GROUP + 1)]
        assert not first.done()
        database.may_commit.set()
        assert await asyncio.gather(first, *others) == list(range(MAX_GROUP + 1))

    _, database = run(scenario)
    assert database.commits == 2
    assert database.rows == list(range(MAX_GROUP + 1))


def test_a_single_job_is_committed_immediately():
    async def scenario(writer, database):
        await writer.submit(adding(1))
        assert database.commits == 1

    run(scenario)


def test_a_failing_job_does_not_affect_others():
    async def scenario(writer, database):
        jobs = [adding(1), failing(RuntimeError("broken")), adding(2)]
        results = await asyncio.gather(*map(writer.submit, jobs), return_exceptions=True)
        assert [type(one) for one in results] == [int, RuntimeError, int]

    _, database = run(scenario)
    assert database.rows == [1, 2]


def test_a_transaction_that_does_not_begin_fails_its_job():
    async def scenario(writer, database):
        database.fails_to_begin = True
        with pytest.raises(OSError, match="cannot begin"):
            await writer.submit(adding(1))
        database.fails_to_begin = False
        await writer.submit(adding(2))

    _, database = run(scenario)
    assert database.rows == [2]


def test_a_cancelled_job_is_still_committed():
    async def scenario(writer, database):
        writer.submit(adding(1)).cancel()
        await writer.submit(adding(2))

    _, database = run(scenario)
    assert database.rows == [1, 2]


def test_closing_commits_all_jobs_and_closes_the_database():
    async def scenario(writer, database):
        return writer.submit(adding(1))

    future, database = run(scenario)
    assert future.result() == 1
    assert (database.rows, database.is_closed) == ([1], True)


def test_a_broken_database_is_replaced_and_the_jobs_run_again():
    second = Database("second")

    def replace(database, error):
        return second if isinstance(error, BrokenError) else None

    async def scenario(writer, database):
        def fail_once(database):
            if database is not second:
                raise BrokenError
            return database.name

        others = writer.submit(adding(1)), writer.submit(fail_once), writer.submit(adding(2))
        assert await asyncio.gather(*others) == [1, "second", 2]
        assert writer.database is second

    _, first = run(scenario, replace)
    assert (first.rows, second.rows) == ([], [1, 2])


def test_without_a_replacement_all_jobs_of_the_group_fail():
    attempts = []

    def replace(database, error):
        attempts.append(error)
        raise OSError("no room")

    async def scenario(writer, database):
        jobs = writer.submit(adding(1)), writer.submit(failing(BrokenError()))
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(one) for one in results] == [BrokenError, BrokenError]
        await writer.submit(adding(2))

    _, database = run(scenario, replace)
    assert len(attempts) == 1
    assert database.rows == [2]


def started_later(writer, run):
    """Start a job that can wait; return a future of its value and its error."""
    future = asyncio.get_running_loop().create_future()
    writer.start_later(run, lambda value, error: future.set_result((value, error)))
    return future


def test_a_job_that_can_wait_shares_the_commit_of_the_next():
    async def scenario(writer, database):
        first = started_later(writer, adding(1))
        await writer.submit(adding(2))
        assert (first.result(), database.commits) == ((1, None), 1)

    _, database = run(scenario)
    assert database.rows == [1, 2]


def test_a_job_that_can_wait_is_committed_without_others():
    async def scenario(writer, database):
        assert await started_later(writer, adding(1)) == (1, None)
        assert database.commits == 1

    run(scenario)


def test_the_caller_of_a_started_job_receives_its_error():
    async def scenario(writer, database):
        value, error = await started_later(writer, failing(BrokenError()))
        assert (value, type(error)) == (None, BrokenError)

    run(scenario)


def test_a_caller_that_fails_does_not_affect_others():
    reported = []

    def fail(value, error):
        raise BrokenError

    async def scenario(writer, database):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        writer.start(adding(1), fail)
        assert await writer.submit(adding(2)) == 2

    _, database = run(scenario)
    assert [type(one) for one in reported] == [BrokenError]
    assert database.rows == [1, 2]
