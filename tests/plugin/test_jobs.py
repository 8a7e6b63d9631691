"""Background work of plugins: supervised, bounded, periodic, ended with the server."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from gatepost import Plugin, blocking
from gatepost.plugin import jobs
from gatepost.plugin.base import Installed
from gatepost.plugin.clock import SystemClock
from gatepost.plugin.host import PluginError, PluginHost
from gatepost.store.errors import StoreError
from gatepost.testing import MemoryServer, MemoryStore, VirtualClock


def failures(logs):
    found = [one for one in logs if one["event"] == "plugin failed"]
    return [(one["plugin"], one["method"], one["exception"].splitlines()[-1]) for one in found]


async def serve(*plugins, seconds=0.0, store=None):
    """Run plugins in a server whose clock moves on, in one step."""
    async with MemoryServer(plugins, store=store) as server:
        await server.advance(seconds)
        await asyncio.sleep(0)


class Works(Plugin):
    """Starts a coroutine of the test in the background."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def start(self):
        self.background(self.work())


def test_a_coroutine_runs_and_is_cancelled_before_stop():
    events = []

    class Listens(Plugin):
        async def listen(self):
            try:
                events.append("listens")
                await asyncio.Event().wait()
            finally:
                events.append("cancelled")

        def start(self):
            self.background(self.listen())

        def stop(self):
            events.append("stopped")

    asyncio.run(serve(Listens()))
    assert events == ["listens", "cancelled", "stopped"]


def test_a_failure_is_logged_with_the_plugin_and_the_coroutine():
    async def breaks():
        raise OSError("no database")

    async def leaves():
        raise SystemExit(3)

    with capture_logs() as logs:
        asyncio.run(serve(Works(breaks), Works(leaves)))
    assert failures(logs) == [
        ("works", "breaks", "OSError: no database"),
        ("works", "leaves", "SystemExit: 3"),
    ]


def test_too_many_coroutines_are_refused(monkeypatch):
    monkeypatch.setattr(jobs, "MOST", 2)

    class Many(Plugin):
        def start(self):
            for _ in range(3):
                self.background(asyncio.Event().wait())

    with pytest.raises(PluginError, match=r"wait cannot run in the background: 2 jobs run already"):
        asyncio.run(serve(Many()))


def test_a_coroutine_needs_an_event_loop():
    async def work():
        pass

    with pytest.raises(RuntimeError, match="no event loop runs, call it in start"):
        Plugin().background(work())


def test_only_a_coroutine_can_run():
    with pytest.raises(TypeError, match="expected a coroutine, found function"):
        Plugin().background(lambda: None)


def test_a_job_that_ignores_its_end_is_logged(monkeypatch):
    monkeypatch.setattr(jobs, "STOP_TIMEOUT", 0.01)
    go_on = threading.Event()

    async def ignores():
        while not go_on.is_set():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(0.02, go_on.set)
                continue

    async def scenario():
        await serve(Works(ignores))
        go_on.set()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert failures(logs)[0] == (
        "works",
        "ignores",
        "TimeoutError: the job has not ended within 0.01 s",
    )


def test_the_jobs_of_a_plugin_that_cannot_start_are_cancelled():
    ended = []

    class Fails(Plugin):
        async def work(self):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        async def start(self):
            self.background(self.work())
            await asyncio.sleep(0)
            raise OSError("no database")

    with pytest.raises(PluginError):
        asyncio.run(PluginHost([Installed(Fails())]).start())
    assert ended == ["cancelled"]


class Ticks(Plugin):
    """Notes the time of each call."""

    def __init__(self, period="5m", *, one_worker=False):
        super().__init__()
        self.period, self.one_worker = period, one_worker
        self.times = []

    def start(self):
        self.every(self.period, self.tick, one_worker=self.one_worker)

    def tick(self):
        self.times.append(self.clock.time() % 86_400)


def test_a_method_is_called_once_in_each_period():
    ticks = Ticks()
    asyncio.run(serve(ticks, seconds=900))
    assert ticks.times == [300, 600, 900]


def test_periods_are_counted_from_the_epoch():
    ticks = Ticks(300)

    async def scenario():
        async with MemoryServer([ticks], clock=VirtualClock("2024-01-01T00:01")) as server:
            await server.advance(300)

    asyncio.run(scenario())
    assert ticks.times == [300]


def test_a_wait_of_a_session_moves_the_clock_too():
    ticks = Ticks()

    async def scenario():
        clock = VirtualClock()
        async with MemoryServer([ticks], clock=clock):
            await clock.sleep(300)

    asyncio.run(scenario())
    assert ticks.times == [300]


def test_a_failure_does_not_end_the_calls():
    class Fails(Ticks):
        async def tick(self):
            super().tick()
            raise OSError("no database")

    fails = Fails()
    with capture_logs() as logs:
        asyncio.run(serve(fails, seconds=600))
    assert failures(logs) == [("fails", "tick", "OSError: no database")] * 2
    assert fails.times == [300, 600]


def test_a_method_that_waits_is_not_called_twice_at_once():
    class Slow(Ticks):
        async def tick(self):
            super().tick()
            await self.clock.sleep(450)

    slow = Slow()
    asyncio.run(serve(slow, seconds=900))
    assert slow.times == [300, 900]


def test_one_worker_calls_a_method_in_each_period():
    store = MemoryStore()
    first, second = Ticks(one_worker=True), Ticks(one_worker=True)
    alone = Ticks("1h", one_worker=True)
    asyncio.run(serve(first, second, alone, seconds=3600, store=store))
    assert len(first.times) + len(second.times) == 12
    assert len(alone.times) == 1
    assert store.values("ticks") == {}


def test_no_worker_calls_it_while_the_store_is_unavailable():
    class Away(MemoryStore):
        def scope(self, namespace):
            store = super().scope(namespace)

            async def add(*_args, **_kwargs):
                raise StoreError("away")

            store.add = add
            return store

    ticks = Ticks(one_worker=True)
    asyncio.run(serve(ticks, seconds=600, store=Away()))
    assert ticks.times == []


def test_a_method_that_blocks_is_called_in_a_thread():
    class Blocks(Ticks):
        @blocking
        def tick(self):
            self.times.append(threading.current_thread())

    blocks = Blocks()
    asyncio.run(serve(blocks, seconds=300))
    [thread] = blocks.times
    assert thread.name == "plugin blocks jobs 1"
    thread.join()  # it ends with the server


@pytest.mark.parametrize(
    ("period", "message"),
    [("500ms", "at least \"1s\", found '500ms'"), ("soon", "soon"), (-1, "-1")],
)
def test_a_wrong_period_is_an_error(period, message):
    with pytest.raises(ValueError, match=message):
        Plugin().every(period, print)


def test_the_system_clock_waits():
    clock = SystemClock()

    async def scenario():
        await clock.wait_until(clock.time() + 0.001, spread=0.001)
        await clock.wait_until(clock.time() - 1)

    asyncio.run(scenario())


def test_a_job_that_was_cancelled_does_not_hold_the_clock():
    async def scenario():
        clock = VirtualClock()
        waits = asyncio.create_task(clock.wait_until(clock.time() + 60))
        await asyncio.sleep(0)
        assert clock.next_alarm == clock.time() + 60
        waits.cancel()
        await asyncio.wait({waits})
        assert clock.next_alarm is None

    asyncio.run(scenario())
