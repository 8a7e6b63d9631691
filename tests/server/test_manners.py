"""Clients that send before a reply is due, and clients that make many errors."""

import asyncio
import socket
import ssl
import struct
from contextlib import ExitStack

import pytest
from msgspec.structs import replace
from tests.references import without_references
from tests.server.loopback import config, run

from gatepost import Plugin, deny
from gatepost.config.schema import Config, LimitsConfig, RecipientsConfig, RouteConfig, SmtpConfig
from gatepost.testing import MemoryServer, RunningServer

TOO_EARLY = "554 5.5.0 Improper command pipelining"
EARLY_TALKER = "554 5.5.1 SMTP protocol violation: data sent before the greeting"


async def plain_reply(client):
    return without_references(await client.reply())


def delays_of(scenario, smtp=None, **limits):
    """Pass a server to `scenario`; return the delays of its replies."""

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


def test_unauthorised_pipelining_closes_the_connection():
    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO a\r\nMAIL FROM:<>\r\n")
        assert [(await client.reply())[:3], await plain_reply(client)] == ["220", TOO_EARLY]
        assert client.closed

    delays_of(scenario)


def test_unauthorised_pipelining_can_be_tolerated():
    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO a\r\nMAIL FROM:<>\r\n")
        assert [(await client.reply())[:3] for _ in range(3)] == ["220", "250", "250"]

    delays_of(scenario, SmtpConfig(unauthorised_pipelining="tolerate"))


def test_greeting_comes_after_the_delay():
    async def scenario(server):
        client = server.connect()
        assert (await client.reply())[:3] == "220"
        client.send(b"EHLO a\r\n")
        assert (await client.reply())[:3] == "250"

    assert delays_of(scenario, SmtpConfig(greeting_delay=3.0)) == [3.0]


@pytest.mark.parametrize("early", [b"EHLO a\r\n", b"x", b"\x16\x03\x01"])
def test_data_before_the_greeting_is_refused(early):
    async def scenario(server):
        client = server.connect()
        client.send(early)
        assert await plain_reply(client) == EARLY_TALKER
        assert client.closed

    delays_of(scenario, SmtpConfig(greeting_delay=3.0))


@pytest.mark.parametrize("early", [b"", b"x", b"EHLO a\r\n"])
def test_a_plugin_that_waits_before_the_greeting_notices_early_data(early):
    seen = []

    class Wait(Plugin):
        async def on_connect(self, session):
            seen.append(session.has_unread)
            await self.clock.sleep(3)
            seen.append(session.has_unread)

    async def main():
        async with MemoryServer([Wait()]) as server:
            client = server.connect()
            client.send(early)
            assert (await client.reply())[:3] == "220"

    asyncio.run(main())
    assert seen == [False, bool(early)]


def test_early_data_within_tls_is_noticed_too():
    class Wait(Plugin):
        async def on_connect(self, session):
            while not session.has_unread:  # noqa: ASYNC110 - the fact has no event
                await asyncio.sleep(0)
            return deny("too early")

    with RunningServer([Wait()], tls="implicit") as server, ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(server.address, timeout=10))
        context = ssl.create_default_context(cadata=server.certificate)
        client = stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        client.sendall(b"EHLO a\r\n")
        assert client.recv(1000).startswith(b"554 5.7.1 too early")


def test_disconnect_before_the_greeting_removes_the_connection(tmp_path, loop):
    async def scenario(running):
        client = running.connect_socket()
        await running.until(lambda: running.connections.members)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await running.until(lambda: not running.connections.members)

    made = replace(config(tmp_path), smtp=SmtpConfig(greeting_delay=60.0))
    run(scenario, made, loop=loop)


def test_replies_to_errors_are_delayed_after_soft_errors():
    async def scenario(server):
        client = server.connect()
        client.send(b"BAD\r\n" * 20 + b"RSET\r\n")
        replies = [await client.reply() for _ in range(1 + 20)]
        assert {reply[:3] for reply in replies[1:-1]} == {"500"}
        assert replies[-1].startswith("421 4.7.0 Too many errors [")
        assert client.closed

    assert delays_of(scenario) == [1.0] * 10


def test_valid_commands_are_not_delayed_after_soft_errors():
    async def scenario(server):
        client = server.connect()
        client.send(b"BAD\r\nBAD\r\nRSET\r\nBAD\r\nRSET\r\n")
        replies = [(await client.reply())[:3] for _ in range(6)]
        assert replies == ["220", "500", "500", "250", "500", "250"]

    assert delays_of(scenario, soft_errors=1, error_delay=2.0) == [2.0, 2.0]


def test_disconnect_during_an_error_delay_removes_the_connection(tmp_path, loop):
    async def scenario(running):
        client = running.connect_socket()
        client.sendall(b"BAD\r\n")
        await running.until(lambda: any(one.pump.waiting for one in running.connections.members))
        client.close()
        for one in running.connections.members:
            one.abort()
        await running.until(lambda: not running.connections.members)

    run(scenario, config(tmp_path, limits={"soft_errors": 0, "error_delay": 60.0}), loop=loop)
