"""The time limits of a link: each wait has its own, and few timers run."""

import asyncio

import pytest

from gatepost.delivery.smtp.connection.link import Link
from gatepost.delivery.smtp.errors import NextHopError
from gatepost.wire import events as e
from gatepost.wire.smtp.sending.client import SmtpClient


class Transport:
    """A transport whose other end the test plays."""

    def write(self, data):
        pass

    def abort(self):
        pass


class Timers:
    """The timers of the running event loop, which the test ends; it also moves the clock."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        self.started = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_later", self.start)

    def start(self, seconds, callback):
        timer = asyncio.TimerHandle(self.now + seconds, callback, (), asyncio.get_running_loop())
        self.started.append((seconds, callback))
        return timer

    def end(self, at):
        """Move the clock, and call the newest timer."""
        self.now = at
        self.started[-1][1]()

    @property
    def seconds(self):
        return [seconds for seconds, _ in self.started]


async def begun(wait):
    """Return the task of a wait that has begun."""
    task = asyncio.ensure_future(wait)
    await asyncio.sleep(0)
    return task


def play(scenario, monkeypatch):
    async def main():
        timers, link = Timers(monkeypatch), Link(SmtpClient(), "hop")
        link.connection_made(Transport())
        greeting = await begun(link.greeting(10))
        link.data_received(b"220 hop\r\n")
        await greeting
        await scenario(timers, link)

    asyncio.run(main())


def test_a_further_wait_starts_no_timer(monkeypatch):
    async def scenario(timers, link):
        for _ in range(3):
            wait = await begun(link.exchange([e.Noop()], 10))
            timers.now += 1
            link.data_received(b"250 Ok\r\n")
            await wait
        assert timers.seconds == [10]

    play(scenario, monkeypatch)


def test_a_wait_ends_after_its_own_limit(monkeypatch):
    async def scenario(timers, link):
        timers.now = 104.0
        wait = await begun(link.exchange([e.Noop()], 10))
        timers.end(110.0)
        assert timers.seconds == [10, 4]
        timers.end(114.0)
        with pytest.raises(NextHopError, match="timeout after 10 seconds"):
            await wait

    play(scenario, monkeypatch)


def test_a_shorter_limit_starts_a_timer(monkeypatch):
    async def scenario(timers, link):
        wait = await begun(link.exchange([e.Noop()], 5))
        assert timers.seconds == [10, 5]
        timers.end(105.0)
        with pytest.raises(NextHopError, match="timeout after 5 seconds"):
            await wait

    play(scenario, monkeypatch)


def test_an_idle_link_does_not_time_out(monkeypatch):
    async def scenario(timers, link):
        timers.end(110.0)
        assert link.usable
        assert timers.seconds == [10]
        await begun(link.exchange([e.Noop()], 10))
        assert timers.seconds == [10, 10]

    play(scenario, monkeypatch)
