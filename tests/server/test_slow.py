"""Slow clients: those that occupy a connection are disconnected, slow senders are not."""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.references import without_references
from tests.server.loopback import Client, config, run

from gatepost.config.schema import Config, LimitsConfig, RecipientsConfig, RouteConfig
from gatepost.server.deadlines import LINGER, Pace
from gatepost.testing import MemoryServer

DEFAULTS = LimitsConfig()
TIMED_OUT = "421 4.4.2 Timeout exceeded"
CONTENT = (b"EHLO a", b"MAIL FROM:<a@client.example>", b"RCPT TO:<u@example.com>", b"DATA")


class TimedClient:
    """A client in memory; `advance` moves the clock and checks the deadlines every second."""

    def __init__(self, server):
        self.connections = server.connections
        self.connections.now = 1000.0  # whole seconds, which add up exactly
        self.client = server.connect()
        (self.connection,) = self.connections.members

    def advance(self, seconds):
        for _ in range(int(seconds)):
            self.connections.now += 1.0
            self.connection.sweep(self.connections.now)

    async def start_content(self):
        for line in CONTENT:
            self.client.send(line + b"\r\n")
        replies = [await self.client.reply() for _ in range(1 + len(CONTENT))]
        assert replies[-1].startswith("354")


def run_timed(scenario, **limits):
    async def main():
        made = Config(
            limits=LimitsConfig(**limits),
            recipients=RecipientsConfig(domains=["example.com"]),
            route=[RouteConfig(to="discard:")],
        )
        async with MemoryServer(config=made) as server:
            await scenario(TimedClient(server))

    asyncio.run(main())


def test_single_octets_of_a_command_do_not_extend_its_time():
    async def scenario(timed):
        await timed.client.reply()
        for octet in b"NOOP 56789012345678901234567890"[:30]:
            timed.client.send(bytes([octet]))
            timed.advance(10)
        assert not timed.client.closed
        timed.advance(1)
        assert without_references(await timed.client.reply()) == TIMED_OUT
        assert timed.client.closed

    run_timed(scenario)


def test_each_reply_restarts_the_command_timeout():
    async def scenario(timed):
        for _ in range(10):
            await timed.client.reply()
            timed.advance(299)
            timed.client.send(b"NOOP\r\n")
        assert (await timed.client.reply()).startswith("250")

    run_timed(scenario)


@pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
def test_content_in_single_octets_is_timed_out(refused):
    async def scenario(timed):
        await timed.start_content()
        timed.client.send(b"x" * 498 + b"\r\n")
        seconds = 0
        while not timed.client.closed:
            timed.client.send(b"x")
            timed.advance(1)
            seconds += 1
        assert DEFAULTS.data_timeout <= seconds < DEFAULTS.data_timeout * 1.01
        assert without_references(await timed.client.reply()) == TIMED_OUT

    run_timed(scenario, message_size=400 if refused else DEFAULTS.message_size)


def test_slow_line_with_interruptions_may_take_hours():
    async def scenario(timed):
        await timed.start_content()
        line = b"x" * 998 + b"\r\n"
        for _ in range(60):
            timed.advance(DEFAULTS.data_timeout - 10)  # the line is interrupted
            for _ in range(60):  # and works
                timed.client.send(line * 7)
                timed.advance(1)
        timed.client.send(b".\r\n")
        assert (await timed.client.reply()).startswith("250")

    run_timed(scenario, session_timeout=86400.0)


def test_each_message_starts_with_the_full_time():
    async def scenario(timed):
        for _ in range(3):
            if not timed.client.replies:
                await timed.start_content()
            timed.advance(DEFAULTS.data_timeout - 1)
            timed.client.send(b"x\r\n.\r\n")
            assert (await timed.client.reply()).startswith("250")
            for line in CONTENT[1:]:
                timed.client.send(line + b"\r\n")
                assert (await timed.client.reply())[0] in "23"

    run_timed(scenario)


def test_session_ends_at_session_timeout():
    async def scenario(timed):
        await timed.client.reply()
        for _ in range(6):
            timed.client.send(b"NOOP\r\n")
            assert (await timed.client.reply()).startswith("250")
            timed.advance(100)
        timed.advance(1)
        expected = "421 4.7.0 Session time limit exceeded, connect again"
        assert without_references(await timed.client.reply()) == expected

    run_timed(scenario, session_timeout=600.0)


def test_client_that_does_not_read_replies_is_disconnected(tmp_path, loop):
    async def scenario(running):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = running.server.addresses[0][1].rpartition(":")
        sock.connect((host, int(port)))
        client = Client(*await asyncio.open_connection(sock=sock, limit=1))
        client.send(b"HELP\r\n" * 100_000)
        await running.until(lambda: running.connections.members)
        (connection,) = running.connections.members
        await running.until(lambda: not (connection.pump.writable or connection.pump.busy))
        running.connections.sweep_later(299.0)
        client.send(b"HELP\r\n")
        assert not connection._lingering
        running.connections.sweep_later(302.0)
        assert connection._lingering
        running.connections.sweep_later(LINGER + 2.0)
        await running.until(lambda: not running.connections.members)
        await client.close()

    run(scenario, config(tmp_path, limits={"junk_commands": 100_000}), loop=loop)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 100_000)), min_size=1))
def test_client_at_the_minimum_rate_is_never_late(steps):
    """The order of bursts does not matter as long as each step keeps the rate."""
    pace, now, received = Pace(None, 600.0, 500, 0.0, 0), 0.0, 0
    for seconds, more in steps:
        now += seconds
        received += max(more, seconds * 500)
        assert not pace.overdrawn(now, received)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 499)), max_size=40))
def test_client_below_the_minimum_rate_is_late_in_the_end(steps):
    pace, now, received = Pace(None, 600.0, 500, 0.0, 0), 0.0, 0
    for seconds, more in steps:
        now += seconds
        received += more
        pace.overdrawn(now, received)
    assert pace.overdrawn(now + 601.0 + received / 500, received)
