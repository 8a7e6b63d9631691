"""Tables on other servers, for tests: one made from a configuration, and servers that misbehave."""

import asyncio
import contextlib
import threading

from gatepost.config.load import config_from_dict
from gatepost.tables.registry import make_table
from gatepost.tables.table import TIMEOUT

PATIENT = 30.0  # seconds: the machine may be busy


def table(spec, folder, **sections):
    """A patient table, not started yet; sections are those of the configuration."""
    made = make_table(spec, config_from_dict(sections, folder))
    if made.timeout == TIMEOUT:
        made.timeout = PATIENT
    return made


def ask(made, *keys, times=1):
    """The answers of a table to the same keys, one after the other, in an event loop."""

    async def run():
        try:
            answers = [dict(await made.ask(keys)) for _ in range(times)]
        finally:
            await made.stop()
            await asyncio.to_thread(_join_sqlite)
        return answers[0] if times == 1 else answers

    return asyncio.run(run())


def _join_sqlite():
    """Wait for threads of connections that aiosqlite could not open: they use the event loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join()


@contextlib.asynccontextmanager
async def serving(handler, path=None):
    """A server of this test on a free port, or on a socket; yields the port."""
    running = set()

    async def handle(reader, writer):
        running.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, EOFError):
                await handler(reader, writer)
            writer.close()
        except asyncio.CancelledError:  # the test has ended
            writer.transport.abort()

    server = await (
        asyncio.start_unix_server(handle, path)
        if path
        else asyncio.start_server(handle, "127.0.0.1", 0)
    )
    try:
        yield None if path else server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
