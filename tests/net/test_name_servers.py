"""The end of answers: when name servers count as unavailable, and the log lines about it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gatepost.net.name_servers import FAILING, PAUSE, PERIOD, SUSPECT, NameServers


class World:
    """Name servers that answer the probes as given, and a clock."""

    def __init__(self, *probes):
        self.probes = list(probes)
        self.now = 0.0
        self.states = []
        self.servers = NameServers(self.probe, lambda: self.now, self.sleep)

    async def probe(self):
        return self.probes.pop(0)

    async def sleep(self, seconds):
        self.states.append(self.servers.unavailable)
        self.now += seconds

    async def watch(self, times=SUSPECT):
        """Report questions without an answer, and wait for the end of the probe."""
        for _ in range(times):
            self.servers.unanswered()
        if self.servers._task:
            await self.servers._task


def test_few_questions_without_an_answer_prove_nothing():
    world = World()

    async def run():
        await world.watch(SUSPECT - 1)
        world.servers.answered()
        await world.watch(SUSPECT - 1)

    with capture_logs() as logs:
        asyncio.run(run())
    assert not logs
    assert not world.servers.unavailable


def test_names_with_dead_servers_do_not_make_a_living_server_unavailable():
    world = World(True)
    with capture_logs() as logs:
        asyncio.run(world.watch(10 * SUSPECT))
    assert (world.probes, world.states, logs) == ([], [], [])


def test_an_outage_has_one_line_at_its_begin_and_one_at_its_end():
    world = World(False, False, False, True)
    with capture_logs() as logs:
        asyncio.run(world.watch())
    assert world.states == [True, True, True]
    assert not world.servers.unavailable
    found = [(one["event"], one["log_level"], one.get("seconds")) for one in logs]
    assert found == [
        ("name servers unavailable", "error", None),
        ("name servers available", "warning", 3 * PAUSE),
    ]


def test_an_answer_ends_the_outage_before_the_next_probe():
    world = World(False, True)

    async def sleep(_):
        assert world.servers.unavailable
        world.servers.answered()
        assert not world.servers.unavailable

    world.servers._sleep = sleep
    with capture_logs() as logs:
        asyncio.run(world.watch())
    assert [one["event"] for one in logs] == ["name servers unavailable", "name servers available"]


def test_a_second_outage_is_found_too():
    world = World(False, True, False, True)

    async def run():
        await world.watch()
        await world.watch()

    with capture_logs() as logs:
        asyncio.run(run())
    assert len(logs) == 4


def test_a_server_that_answers_with_errors_only_has_one_line_at_begin_and_end():
    world = World()
    servers = world.servers
    with capture_logs() as logs:
        for _ in range(3 * FAILING):
            servers.failed("SERVFAIL")
        assert not logs  # some clients with wrong names can do this
        world.now += PERIOD
        servers.failed("SERVFAIL")
        servers.failed("SERVFAIL")
        world.now += 5
        servers.answered()
        servers.answered()
    assert not servers.unavailable
    assert [(one["event"], one.get("problem"), one.get("seconds")) for one in logs] == [
        ("DNS lookups failing", "SERVFAIL", None),
        ("DNS lookups working", None, PERIOD + 5),
    ]


def test_an_answer_in_between_proves_that_lookups_work():
    world = World()
    with capture_logs() as logs:
        for number in range(3 * FAILING):
            world.servers.failed("SERVFAIL")
            world.now += PERIOD / 2
            if number % 10 == 9:
                world.servers.answered()
    assert not logs


def test_few_errors_over_a_long_time_prove_nothing():
    world = World()
    with capture_logs() as logs:
        for _ in range(FAILING - 1):
            world.servers.failed("SERVFAIL")
            world.now += PERIOD
    assert not logs


def test_an_error_is_an_answer_of_a_server_that_was_unavailable():
    world = World(False, True)

    async def sleep(_):
        world.servers.failed("SERVFAIL")
        assert not world.servers.unavailable

    world.servers._sleep = sleep
    with capture_logs() as logs:
        asyncio.run(world.watch())
    assert [one["event"] for one in logs] == ["name servers unavailable", "name servers available"]


def test_close_stops_the_probe():
    async def run():
        reached = asyncio.Event()

        async def probe():
            reached.set()
            await asyncio.Event().wait()

        servers = NameServers(probe, lambda: 0.0)
        for _ in range(SUSPECT):
            servers.unanswered()
        await reached.wait()
        task = servers._task
        await servers.close()
        await servers.close()
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_failure_of_the_probe_is_not_hidden():
    async def run():
        async def probe():
            raise OSError("fault")

        servers = NameServers(probe, lambda: 0.0)
        for _ in range(SUSPECT):
            servers.unanswered()
        with pytest.raises(OSError, match="fault"):
            await servers._task

    asyncio.run(run())
