"""Clients that hold a place by being slow: each is ended some time, honest ones are not."""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.loopback import Client, config, run

from gatepost.config.schema import Config, LimitsConfig, RecipientsConfig, RouteConfig
from gatepost.server.connection import LINGER
from gatepost.server.pace import Pace
from gatepost.testing import MemoryServer

DEFAULTS = LimitsConfig()
TIMED_OUT = "421 4.4.2 Timed out waiting for the client"
CONTENT = (b"EHLO a", b"MAIL FROM:<a@client.example>", b"RCPT TO:<u@example.com>", b"DATA")


class Watched:
    """A client in memory, whose clock the test turns: `later` moves it, as the sweep sees it."""

    def __init__(self, server):
        self.client = server.connect()
        self.worker = server._worker
        (self.connection,) = self.worker.connections

    def later(self, seconds):
        for _ in range(int(seconds)):
            self.worker.now += 1.0
            self.connection.sweep(self.worker.now)

    async def begin_content(self):
        for line in CONTENT:
            self.client.send(line + b"\r\n")
        replies = [await self.client.reply() for _ in range(1 + len(CONTENT))]
        assert replies[-1].startswith("354")


def watch(scenario, **limits):
    async def main():
        made = Config(
            limits=LimitsConfig(**limits),
            recipients=RecipientsConfig(domains=["example.com"]),
            route=[RouteConfig(to="discard:")],
        )
        async with MemoryServer(config=made) as server:
            await scenario(Watched(server))

    asyncio.run(main())


def test_a_command_that_comes_drop_by_drop_is_as_late_as_none():
    async def scenario(watched):
        await watched.client.reply()
        for octet in b"NOOP 56789012345678901234567890"[:30]:
            watched.client.send(bytes([octet]))
            watched.later(10)
        assert not watched.client.closed
        watched.later(1)
        assert await watched.client.reply() == TIMED_OUT
        assert watched.client.closed

    watch(scenario)


def test_each_reply_gives_time_anew():
    async def scenario(watched):
        for _ in range(10):
            await watched.client.reply()
            watched.later(299)
            watched.client.send(b"NOOP\r\n")
        assert (await watched.client.reply()).startswith("250")

    watch(scenario)


@pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
def test_content_that_comes_drop_by_drop_has_an_end(refused):
    async def scenario(watched):
        await watched.begin_content()
        watched.client.send(b"x" * 498 + b"\r\n")
        seconds = 0
        while not watched.client.closed:
            watched.client.send(b"x")
            watched.later(1)
            seconds += 1
        assert DEFAULTS.data_timeout <= seconds < DEFAULTS.data_timeout * 1.01
        assert await watched.client.reply() == TIMED_OUT

    watch(scenario, message_size=400 if refused else DEFAULTS.message_size)


def test_an_honest_sender_on_a_slow_line_may_take_hours():
    async def scenario(watched):
        await watched.begin_content()
        line = b"x" * 998 + b"\r\n"
        for _ in range(60):
            watched.later(DEFAULTS.data_timeout - 10)  # the line is down
            for _ in range(60):  # and up
                watched.client.send(line * 7)
                watched.later(1)
        watched.client.send(b".\r\n")
        assert (await watched.client.reply()).startswith("250")

    watch(scenario, session_timeout=86400.0)


def test_the_next_message_begins_with_nothing_on_its_account():
    async def scenario(watched):
        for _ in range(3):
            if not watched.client.replies:
                await watched.begin_content()
            watched.later(DEFAULTS.data_timeout - 1)
            watched.client.send(b"x\r\n.\r\n")
            assert (await watched.client.reply()).startswith("250")
            for line in CONTENT[1:]:
                watched.client.send(line + b"\r\n")
                assert (await watched.client.reply())[0] in "23"

    watch(scenario)


def test_no_session_lasts_for_ever():
    async def scenario(watched):
        await watched.client.reply()
        for _ in range(6):
            watched.client.send(b"NOOP\r\n")
            assert (await watched.client.reply()).startswith("250")
            watched.later(100)
        watched.later(1)
        assert await watched.client.reply() == "421 4.7.0 Session lasts too long, connect again"

    watch(scenario, session_timeout=600.0)


def test_a_client_that_does_not_read_its_replies(tmp_path, loop):
    async def scenario(house):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = house.server.addresses[0][1].rpartition(":")
        sock.connect((host, int(port)))
        client = Client(*await asyncio.open_connection(sock=sock, limit=1))
        client.send(b"HELP\r\n" * 100_000)
        await house.until(lambda: house.worker.connections)
        (connection,) = house.worker.connections
        await house.until(lambda: not (connection._may_write or connection._turn))
        house.worker.sweep_later(299.0)
        client.send(b"HELP\r\n")
        assert not connection._lingering
        house.worker.sweep_later(302.0)
        assert connection._lingering
        house.worker.sweep_later(LINGER + 2.0)
        await house.until(lambda: not house.worker.connections)
        await client.close()

    run(scenario, config(tmp_path, limits={"junk_commands": 100_000}), loop=loop)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 100_000)), min_size=1))
def test_who_keeps_the_rate_is_never_late(steps):
    """Whatever comes when: as long as no stretch falls more than the allowance behind."""
    pace, now, received = Pace(None, 600.0, 500, 0.0, 0), 0.0, 0
    for seconds, more in steps:
        now += seconds
        received += max(more, seconds * 500)
        assert not pace.overdrawn(now, received)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 499)), max_size=40))
def test_who_falls_behind_for_long_enough_is_late(steps):
    pace, now, received = Pace(None, 600.0, 500, 0.0, 0), 0.0, 0
    for seconds, more in steps:
        now += seconds
        received += more
        pace.overdrawn(now, received)
    assert pace.overdrawn(now + 601.0 + received / 500, received)
