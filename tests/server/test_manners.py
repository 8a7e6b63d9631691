"""Clients that do not wait for their turn, and those that err again and again."""

import asyncio
import socket
import struct

import pytest
from msgspec.structs import replace
from tests.server.loopback import config, run

from gatepost.config.schema import Config, LimitsConfig, RecipientsConfig, RouteConfig, SmtpConfig
from gatepost.testing import MemoryServer

TOO_EARLY = "554 5.5.0 Commands were sent before their time"
SPOKE_FIRST = "554 5.5.1 Wait for the greeting before you speak"


def visit(scenario, smtp=None, **limits):
    """Give a server to `scenario`; return the waits it has made somebody bear."""

    async def main():
        made = Config(
            smtp=smtp or SmtpConfig(),
            limits=LimitsConfig(**limits),
            recipients=RecipientsConfig(domains=["example.com"]),
            route=[RouteConfig(to="discard:")],
        )
        async with MemoryServer(config=made) as server:
            await scenario(server)
            return server._clock.slept

    return asyncio.run(main())


def test_who_sends_ahead_is_shown_out():
    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO a\r\nMAIL FROM:<>\r\n")
        assert [(await client.reply())[:3], await client.reply()] == ["220", TOO_EARLY]
        assert client.closed

    visit(scenario)


def test_it_may_be_tolerated():
    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO a\r\nMAIL FROM:<>\r\n")
        assert [(await client.reply())[:3] for _ in range(3)] == ["220", "250", "250"]

    visit(scenario, SmtpConfig(unauthorised_pipelining="tolerate"))


def test_who_waits_is_greeted_in_the_end():
    async def scenario(server):
        client = server.connect()
        assert (await client.reply())[:3] == "220"
        client.send(b"EHLO a\r\n")
        assert (await client.reply())[:3] == "250"

    assert visit(scenario, SmtpConfig(greeting_delay=3.0)) == [3.0]


@pytest.mark.parametrize("spoken", [b"EHLO a\r\n", b"x", b"\x16\x03\x01"])
def test_who_speaks_before_the_greeting_is_not_greeted(spoken):
    async def scenario(server):
        client = server.connect()
        client.send(spoken)
        assert await client.reply() == SPOKE_FIRST
        assert client.closed

    visit(scenario, SmtpConfig(greeting_delay=3.0))


def test_who_is_gone_before_the_greeting(tmp_path, loop):
    async def scenario(house):
        client = house.connect_plainly()
        await house.until(lambda: house.worker.connections)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await house.until(lambda: not house.worker.connections)

    made = replace(config(tmp_path), smtp=SmtpConfig(greeting_delay=60.0))
    run(scenario, made, loop=loop)


def test_errors_cost_time_once_there_are_many():
    async def scenario(server):
        client = server.connect()
        client.send(b"BAD\r\n" * 20 + b"RSET\r\n")
        replies = [await client.reply() for _ in range(1 + 20)]
        assert {reply[:3] for reply in replies[1:-1]} == {"500"}
        assert replies[-1] == "421 4.7.0 Too many errors"
        assert client.closed

    assert visit(scenario) == [1.0] * 10


def test_what_is_no_error_is_answered_at_once_even_then():
    async def scenario(server):
        client = server.connect()
        client.send(b"BAD\r\nBAD\r\nRSET\r\nBAD\r\nRSET\r\n")
        replies = [(await client.reply())[:3] for _ in range(6)]
        assert replies == ["220", "500", "500", "250", "500", "250"]

    assert visit(scenario, soft_errors=1, error_delay=2.0) == [2.0, 2.0]


def test_who_leaves_while_an_answer_is_held_back(tmp_path, loop):
    async def scenario(house):
        client = house.connect_plainly()
        client.sendall(b"BAD\r\n")
        await house.until(lambda: any(one._task for one in house.worker.connections))
        client.close()
        for one in house.worker.connections:
            one.abort()
        await house.until(lambda: not house.worker.connections)

    run(scenario, config(tmp_path, limits={"soft_errors": 0, "error_delay": 60.0}), loop=loop)
