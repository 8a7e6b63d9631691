"""The threads of a plugin: bounded, of its own, and not held by a session that has gone."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from gatepost.model.decision import deny
from gatepost.plugin import threads
from gatepost.plugin.base import Installed, Plugin, blocking
from gatepost.plugin.host import PluginHost
from gatepost.plugin.threads import PluginThreads, ThreadsBusyError

# The facts of a transaction that a chain reads.
NO_TX = SimpleNamespace(acting=None, message=None)


def test_calls_run_in_at_most_so_many_threads():
    barrier, names = threading.Barrier(2), set()

    def call():
        barrier.wait()  # two at the same time, or never
        names.add(threading.current_thread().name)

    async def scenario():
        pool = PluginThreads("p", 2)
        await asyncio.gather(*(pool.call(call) for _ in range(10)))
        pool.close()

    asyncio.run(scenario())
    assert names == {"plugin p 1", "plugin p 2"}


@pytest.mark.parametrize("error", [ValueError, SystemExit, StopIteration])
def test_an_error_is_passed_on(error):
    def call():
        raise error("x")

    async def scenario():
        await PluginThreads("p").call(call)

    with pytest.raises(RuntimeError if error is StopIteration else error):
        asyncio.run(scenario())


def test_too_many_waiting_calls_fail_at_once(monkeypatch):
    monkeypatch.setattr(threads, "WAITING", 1)
    release = threading.Event()

    async def scenario():
        pool = PluginThreads("p", 1)
        running, waiting = pool.call(release.wait), pool.call(release.wait)
        with pytest.raises(ThreadsBusyError, match="all 1 threads of the plugin are busy"):
            pool.call(release.wait)
        release.set()
        await asyncio.gather(running, waiting)
        assert await pool.call(lambda: 1) == 1

    asyncio.run(scenario())


def test_a_cancelled_call_that_has_not_begun_does_not_run():
    release, ran = threading.Event(), []

    async def scenario():
        pool = PluginThreads("p", 1)
        first = pool.call(release.wait)
        late = pool.call(ran.append, 1)
        late.cancel()
        await asyncio.sleep(0)  # the cancellation reaches the thread's future
        release.set()
        await first
        await pool.call(ran.append, 2)

    asyncio.run(scenario())
    assert ran == [2]


def test_a_hanging_thread_does_not_keep_the_process_from_ending():
    async def scenario():
        PluginThreads("p", 1).call(threading.Event().wait)

    asyncio.run(scenario())
    (hanging,) = [one for one in threading.enumerate() if one.name == "plugin p 1"][-1:]
    assert hanging.daemon


class Hangs(Plugin):
    blocking = True

    class Options(Plugin.Options):
        pass

    release = threading.Event()

    def on_rcpt(self, *_args):
        self.release.wait()


class Answers(Plugin):
    blocking = True

    def on_rcpt(self, *_args):
        return deny("no")


def test_hanging_calls_of_one_plugin_do_not_delay_another():
    hangs, answers = Hangs(), Answers()
    host = PluginHost([Installed(hangs, "skip", timeout=0.01), Installed(answers)])

    async def scenario():
        try:
            chains = [host.chains["rcpt"].decide(NO_TX, None) for _ in range(20)]
            return await asyncio.gather(*chains)
        finally:
            hangs.release.set()

    assert [one.by for one in asyncio.run(scenario())] == ["answers"] * 20


def test_a_marked_method_alone_runs_in_a_thread():
    seen = {}

    class Mixed(Plugin):
        @blocking
        def on_rcpt(self, *_args):
            seen["rcpt"] = threading.current_thread()

        def on_mail(self, *_args):
            seen["mail"] = threading.current_thread()

    chains = PluginHost([Installed(Mixed())]).chains

    async def scenario():
        tx = SimpleNamespace(acting=None)
        await chains["rcpt"].decide(tx, None)
        await chains["mail"].decide(tx, None)

    asyncio.run(scenario())
    assert seen["mail"] is threading.main_thread()
    assert seen["rcpt"].name == "plugin mixed 1"
