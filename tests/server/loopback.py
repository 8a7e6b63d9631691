"""A server on loopback sockets, and a client that sends and receives octets."""

import asyncio
import contextlib
import socket
from typing import ClassVar

import uvloop
from tests.references import without_references
from tests.waiting import until

from gatepost.config.listen import InetAddress
from gatepost.config.schema import (
    Config,
    LimitsConfig,
    ListenConfig,
    RecipientsConfig,
    RouteConfig,
    SmtpConfig,
)
from gatepost.server.connections import Connections
from gatepost.server.server import Server

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HELO = b"EHLO x\r\n"
ENVELOPE = HELO + b"MAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\n"
MESSAGE = b"Subject: x\r\n\r\ntext\r\n.\r\n"


def config(folder, *, limits=None, to="discard:", address=None, **more):
    return Config(
        listen=[ListenConfig(address=address or InetAddress("127.0.0.1", 0))],
        limits=LimitsConfig(**(limits or {})),
        recipients=RecipientsConfig(domains=["example.com"]),
        route=[RouteConfig(to=to)],
        smtp=SmtpConfig(unauthorised_pipelining="tolerate"),  # tests send all commands together
        base=folder,
        **more,
    )


class RecordedConnections(Connections):
    """Connections that the test can access; `made` are all instances."""

    made: ClassVar = []

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.made.append(self)

    def sweep_later(self, seconds):
        """Check the deadlines as if this many seconds had passed."""
        for connection in tuple(self.members):
            connection.sweep(self.now + seconds)


class Client:
    """One connection; `await client.reply()` is the last line of the next reply.

    Replies are returned without their references.
    """

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def reply(self):
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        return without_references(line.decode().rstrip("\r\n"))

    async def replies(self, count):
        return [await self.reply() for _ in range(count)]

    async def codes(self, count):
        return [one[:3] for one in await self.replies(count)]

    async def rest(self):
        """Return everything until the server closes the connection."""
        return without_references((await self.reader.read()).decode())

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class LoopbackServer:
    """A started server; `connections` are its connections."""

    def __init__(self, server):
        self.server = server
        self.connections = RecordedConnections.made[-1]

    async def connect(self):
        _, address = self.server.addresses[0]
        if address.startswith("unix:"):
            return Client(*await asyncio.open_unix_connection(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        return Client(*await asyncio.open_connection(host.strip("[]"), int(port)))

    def connect_socket(self):
        """Open a connection with a plain socket, whose replies are not read."""
        host, _, port = self.server.addresses[0][1].rpartition(":")
        return socket.create_connection((host, int(port)))

    async def until(self, condition):
        """Run the event loop until the condition is true."""
        await until(condition)


def run(scenario, made, plugins=(), *, loop="asyncio", clock=None):
    """Start a server and pass it to `scenario`, a coroutine function."""

    async def main():
        async with Server(made, plugins, clock) as server:
            return await scenario(LoopbackServer(server))

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(main(), 60))
