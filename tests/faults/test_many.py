"""Many sessions while the DNS is dead: questions, tasks and memory are limited."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.faults.gateway import Gateway, events
from tests.net.name_server import FAULTS

from gatepost.net.cached_resolver import MOST_PENDING

SESSIONS = 1000
# For each session: that of the session, of a plugin that waits, and of its look-ups.
TASKS = 8
# Octets of cache for each question: a failure has no records.
ENTRY = 1000


async def send(gateway, number):
    """Send a message that has nothing in common with the others; return the last reply."""
    host = f"h{number}.sender.example"
    client = gateway.server.connect((f"16.{number >> 8}.{number & 255}.1", 25))
    lines = (f"EHLO {host}", f"MAIL FROM:<a@{host}>", "RCPT TO:<user@example.com>", "DATA")
    try:
        await client.reply()
        for line in lines:
            client.send(f"{line}\r\n".encode())
            await client.reply()
        client.send(f"From: a@{host}\r\n\r\nx\r\n.\r\n".encode())
        await client.reply()
        return client.replies[-1]
    finally:
        await client.close()


class Most:
    """The largest numbers of tasks and of pending questions while a test runs."""

    def __init__(self, gateway):
        self.tasks = self.pending = 0
        self._gateway = gateway

    async def watch(self):
        while True:
            self.tasks = max(self.tasks, len(asyncio.all_tasks()))
            self.pending = max(self.pending, len(self._gateway.resolver._pending))
            await asyncio.sleep(0)


@pytest.mark.slow
def test_a_thousand_sessions_do_not_pile_up_while_the_dns_is_dead():
    async def test():
        async with Gateway(fault=FAULTS["silent"], timeout=1.0) as gateway:
            most = Most(gateway)
            watching = asyncio.create_task(most.watch())
            sessions = (send(gateway, number) for number in range(SESSIONS))
            replies = await asyncio.gather(*sessions)
            watching.cancel()
            status = gateway.resolver.status
            assert {one[:3] for one in replies} == {"250"}
            assert most.pending == MOST_PENDING
            assert most.tasks < MOST_PENDING + TASKS * SESSIONS
            # Questions are asked until the outage is found, which takes two time-outs.
            assert sum(status.queries.values()) <= 3 * MOST_PENDING
            assert status.lookups["limit"] + status.lookups["outage"] > SESSIONS
            assert status.octets < ENTRY * sum(status.queries.values())
            await asyncio.sleep(0)
            assert len(gateway.resolver._pending) == 0

    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(test(), 120))
    assert events(logs) == {"DNS list failed its test": 3, "name servers unavailable": 1}
