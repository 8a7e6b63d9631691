"""A cache in front of a table: batches, shared queries, outages, limits."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.tables.answers import NEGATIVE, Answers
from gatepost.tables.cached import FAILURES, NOTED, PAUSE, CachedTable
from gatepost.tables.table import Table, TableError
from gatepost.testing import MemoryTable

ROWS = {f"{name}@example.com": name for name in "abcdefgh"}


class SlowTable(Table):
    """A table whose queries wait until they are released."""

    def __init__(self):
        super().__init__("slow:test")
        self.queries = []
        self.asked = asyncio.Event()
        self.release = asyncio.Semaphore(0)

    async def find(self, keys):
        self.queries.append(list(keys))
        self.asked.set()
        await self.release.acquire()
        return {key: ROWS[key] for key in keys if key in ROWS}


class WrongTable(Table):
    """A table with a fault in its code: it returns or raises something else."""

    def __init__(self, result):
        super().__init__("wrong:test")
        self.result = result

    def find(self, _keys):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Cached:
    """A cached table of a test, with its clocks."""

    def __init__(self, table, seconds=300.0):
        self.table = table
        self.clock = VirtualClock()
        self.monotonic = 100.0
        self.cached = CachedTable(table, self.clock, seconds, monotonic=lambda: self.monotonic)

    def ask(self, *keys):
        return self.cached.ask(keys)

    async def fails(self, *keys):
        with pytest.raises(TableError) as found:
            await self.ask(*keys)
        return str(found.value)

    def pass_time(self, seconds):
        self.clock.move_to(self.clock.time() + seconds)


def test_found_keys_have_their_values_and_others_are_missing():
    async def run():
        made = Cached(MemoryTable(ROWS))
        assert await made.ask("a@example.com", "z@example.com") == {"a@example.com": "a"}

    asyncio.run(run())


def test_cached_keys_are_returned_without_a_coroutine():
    async def run():
        made = Cached(MemoryTable(ROWS))
        await made.ask("a@example.com", "z@example.com")
        assert made.cached.find(["z@example.com", "a@example.com"]) == {"a@example.com": "a"}
        assert made.table.queries == [["a@example.com", "z@example.com"]]
        assert made.cached.statistics.hits == 2
        assert made.cached.statistics.misses == 2

    asyncio.run(run())


def test_only_keys_that_are_not_cached_are_asked():
    async def run():
        made = Cached(MemoryTable(ROWS))
        await made.ask("a@example.com")
        assert await made.ask("a@example.com", "b@example.com") == {
            "a@example.com": "a",
            "b@example.com": "b",
        }
        assert made.table.queries == [["a@example.com"], ["b@example.com"]]

    asyncio.run(run())


def test_a_new_key_is_found_after_a_minute_and_a_removed_one_is_missing_after_the_configured_time():
    async def run():
        made = Cached(MemoryTable({"a@example.com": ""}), seconds=300.0)
        assert await made.ask("a@example.com", "new@example.com") == {"a@example.com": ""}
        made.table.rows = {"new@example.com": ""}
        made.pass_time(NEGATIVE)
        assert set(await made.ask("a@example.com", "new@example.com")) == {
            "a@example.com",
            "new@example.com",
        }
        made.pass_time(300.0 - NEGATIVE)
        assert set(await made.ask("a@example.com", "new@example.com")) == {"new@example.com"}

    asyncio.run(run())


def test_guessed_keys_do_not_push_out_real_ones():
    answers = Answers(10.0, most=2)
    for key in "abc":
        answers.put(key, key, 0.0)
    assert [answers.get(key, 1.0) for key in "abc"] == [None, (10.0, "b"), (10.0, "c")]

    async def run():
        made = Cached(MemoryTable(ROWS))
        made.table.batch = 20_000
        await made.ask("a@example.com")
        await made.ask(*(f"guess{number}@example.com" for number in range(10_001)))
        assert made.cached.find(["a@example.com"]) == {"a@example.com": "a"}

    asyncio.run(run())


def test_keys_that_are_asked_during_a_query_share_the_next_one():
    async def run():
        made = Cached(SlowTable())
        first = asyncio.create_task(made.ask("a@example.com"))
        await made.table.asked.wait()
        more = [asyncio.create_task(made.ask(f"{name}@example.com")) for name in "abc"]
        more.append(asyncio.create_task(made.ask("c@example.com", "z@example.com")))
        await asyncio.sleep(0)
        for _ in range(2):
            made.table.release.release()
        assert await first == {"a@example.com": "a"}
        assert (await asyncio.gather(*more))[-1] == {"c@example.com": "c"}
        assert made.table.queries == [
            ["a@example.com"],
            ["b@example.com", "c@example.com", "z@example.com"],
        ]

    asyncio.run(run())


def test_a_query_has_at_most_the_keys_that_the_table_takes():
    async def run():
        made = Cached(MemoryTable(ROWS))
        made.table.batch = 3
        assert await made.ask(*ROWS) == ROWS
        assert [len(keys) for keys in made.table.queries] == [3, 3, 2]

    asyncio.run(run())


def test_a_session_that_ends_does_not_end_the_query_of_others():
    async def run():
        made = Cached(SlowTable())
        first = asyncio.create_task(made.ask("a@example.com"))
        await made.table.asked.wait()
        second = asyncio.create_task(made.ask("a@example.com"))
        await asyncio.sleep(0)
        first.cancel()
        made.table.release.release()
        assert await second == {"a@example.com": "a"}
        assert made.table.queries == [["a@example.com"]]

    asyncio.run(run())


def test_a_failure_is_an_error_and_is_not_cached():
    async def run():
        made = Cached(MemoryTable(ROWS))
        made.table.failure = "no connection"
        assert await made.fails("a@example.com") == "table memory:test: no connection"
        made.table.failure = ""
        assert await made.ask("a@example.com") == {"a@example.com": "a"}
        assert made.cached.statistics.failures == 1

    asyncio.run(run())


def test_an_outage_has_one_line_at_its_begin_and_one_at_its_end():
    async def run():
        made = Cached(MemoryTable(ROWS))
        made.table.failure = "no connection"
        for _ in range(FAILURES + 5):
            await made.fails("a@example.com")
        assert len(made.table.queries) == FAILURES
        made.monotonic += PAUSE
        await made.fails("a@example.com")
        made.table.failure = ""
        await made.fails("a@example.com")  # one query for each pause
        made.monotonic += PAUSE
        await made.ask("a@example.com")
        assert len(made.table.queries) == FAILURES + 2
        assert not made.cached.is_unavailable

    with capture_logs() as lines:
        asyncio.run(run())
    assert lines == [
        {
            "event": "table unavailable",
            "table": "memory:test",
            "problem": "no connection",
            "log_level": "error",
        },
        {
            "event": "table available",
            "table": "memory:test",
            "seconds": 2 * PAUSE,
            "log_level": "warning",
        },
    ]


class StrictTable(MemoryTable):
    """A table whose service answers with an error if one of the keys is bad."""

    def find(self, keys):
        if any("bad" in key for key in keys):
            raise TableError(self.name, "malformed key", answered=True)
        return super().find(keys)


def test_an_error_about_a_key_does_not_concern_other_keys():
    async def run():
        made = Cached(StrictTable(ROWS))
        for number in range(FAILURES + 1):
            await made.fails(f"bad{number}@example.com")
        bad = asyncio.create_task(made.fails("bad@example.com"))
        assert await made.ask("a@example.com") == {"a@example.com": "a"}
        assert await bad == "table memory:test: malformed key"
        assert not made.cached.is_unavailable

    with capture_logs() as lines:
        asyncio.run(run())
    assert [one["event"] for one in lines] == ["table query failed"]


def test_errors_about_keys_are_logged_once_a_minute():
    async def run():
        made = Cached(StrictTable(ROWS))
        for _ in range(3):
            await made.fails("bad@example.com")
            made.monotonic += NOTED / 2

    with capture_logs() as lines:
        asyncio.run(run())
    assert len(lines) == 2


def test_cached_answers_are_used_during_an_outage():
    async def run():
        made = Cached(MemoryTable(ROWS))
        await made.ask("a@example.com")
        made.table.failure = "no connection"
        for _ in range(FAILURES):
            await made.fails("b@example.com")
        assert made.cached.find(["a@example.com"]) == {"a@example.com": "a"}

    asyncio.run(run())


def test_a_query_that_does_not_end_is_a_failure():
    async def run():
        made = Cached(SlowTable())
        made.table.timeout = 0.001
        problem = await made.fails("a@example.com")
        assert problem == "table slow:test: no answer within 0.001 seconds"

    asyncio.run(run())


@pytest.mark.parametrize(
    "result", [None, ["a@example.com"], {"a@example.com": b"a"}, RuntimeError("fault")]
)
def test_a_wrong_answer_is_a_failure(result):
    async def run():
        assert "table wrong:test: " in await Cached(WrongTable(result)).fails("a@example.com")

    asyncio.run(run())


def test_look_ups_that_wait_fail_when_the_table_is_closed():
    async def run():
        made = Cached(SlowTable())
        running = asyncio.create_task(made.ask("a@example.com"))
        await made.table.asked.wait()
        waiting = asyncio.create_task(made.ask("b@example.com"))
        await asyncio.sleep(0)
        await made.cached.stop()
        for task in (running, waiting):
            with pytest.raises(TableError, match="closed"):
                await task

    asyncio.run(run())
