"""Messages, services of the test and real scanners for the tests of the scanner plugins."""

import asyncio
from contextlib import asynccontextmanager

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.testing import MemoryServer, VirtualClock, perform, play_async

SCANNERS = ("rspamd", "spamassassin", "clamav", "command")
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
HELLO = """
    S: 220
    C: EHLO client.example
    S: 250
"""


def mail(content, reply="250", *, rcpts=("user@example.com",), sender="a@client.example"):
    """Return the transcript of a message without the greeting."""
    named = "".join(f"    C: RCPT TO:<{one}>\n    S: 250\n" for one in rcpts)
    lines = "".join(f"    C: {line}\n" for line in content.splitlines())
    return (
        f"    C: MAIL FROM:<{sender}>\n    S: 250\n{named}"
        f"    C: DATA\n    S: 354\n{lines}    C: .\n    S: {reply}\n"
    )


def large(octets):
    """Return a message of about so many octets."""
    return "Subject: large\n\n" + ("x" * 76 + "\n") * (octets // 78)


class Seen(Plugin):
    """Keeps the results of scanners."""

    after = frozenset(SCANNERS)

    def __init__(self):
        super().__init__()
        self.results = []

    def after_message(self, tx, outcome):
        self.results += [one for one in tx.results if one.name in SCANNERS]


async def sent(plugins, content, reply="250", **options):
    """Send one message; return what was played."""
    envelope = {name: options.pop(name) for name in ("rcpts", "sender") if name in options}
    return await play_async(HELLO + mail(content, reply, **envelope), plugins, **options)


@asynccontextmanager
async def service(path, handle):
    """Serve a Unix socket with a coroutine that gets a reader and a writer."""
    open_writers, tasks = set(), set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        open_writers.add(writer)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in open_writers:
            if one.transport.get_write_buffer_size():
                one.transport.abort()


async def twenty_clients(plugins, content, reply="250"):
    """Send a message from each of twenty clients at the same time; return the server."""
    async with MemoryServer(plugins, clock=VirtualClock("2024-01-01")) as server:
        clients = [server.connect((f"198.51.100.{number}", 50000)) for number in range(20)]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(perform(client, HELLO + mail(content, reply)))
        for client in clients:
            await client.close()
        return server.messages


def installed(plugin, **options):
    """Return a plugin as it is configured."""
    return Installed(plugin, **options)
