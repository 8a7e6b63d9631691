"""Time the shipped plugins with state: ``python -m bench.state [URL…]`` prints a table.

A URL is that of a store; without any, `memory` and `local` are measured. A figure is microseconds
of CPU time of this process for a session with one message in a server in memory, less that of the
same session without the plugin. All keys are known before. An established sender has so many good
messages that `reputation` counts few of them.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost import Plugin
from gatepost.plugins.concurrency import Concurrency
from gatepost.plugins.greylist import Greylist
from gatepost.plugins.rate_limit import RateLimit
from gatepost.plugins.reputation import Reputation
from gatepost.plugins.standing import Standing
from gatepost.plugins.trap_memory import TrapMemory
from gatepost.store.opening import open_store
from gatepost.testing import MemoryServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost import Address, Transaction
    from gatepost.store.store import OpenedStore

SESSIONS = 200
REPEATS = 15  # the fastest run counts; slower ones include other load
PATIENT = 10.0
CLIENTS = 50
WARM = 12

RULES = (
    {"name": "network", "by": ["network"], "rate": "1000000/1h"},
    {"name": "sender", "by": ["sender"], "rate": "1000000/1h"},
)
AT_ONCE = ({"name": "network", "by": ["network"], "most": 1000},)


class Passed(Plugin):
    """Add a result as the plugin `spf` does."""

    before = ("greylist", "reputation", "standing", "trap_memory")

    def on_mail(self, tx: Transaction, _sender: Address) -> None:
        """Add the result."""
        tx.results.add("spf", "pass")


# The plugins of each row.
ROWS: dict[str, Callable[[], Sequence[Plugin]]] = {
    "none": list,
    "greylist": lambda: [Greylist(trust_after=0)],
    "reputation": lambda: [Reputation(prior=1000)],
    "established": lambda: [Reputation(prior=1)],
    "greylist, established": lambda: [Greylist(trust_after=0), Reputation(prior=1)],
    "rate_limit, 2 rules": lambda: [RateLimit(rules=RULES)],
    "concurrency, 1 rule": lambda: [Concurrency(rules=AT_ONCE)],
    "standing": lambda: [Standing()],
    "trap_memory": lambda: [TrapMemory()],
    "standing, trap_memory": lambda: [Standing(), TrapMemory()],
}


async def session(server: MemoryServer, number: int, sender: str) -> None:
    """Send one message."""
    client = server.connect((f"198.51.{number % CLIENTS}.7", 50000))
    await client.reply()
    client.send(
        b"EHLO client.example\r\nMAIL FROM:<%s>\r\nRCPT TO:<user@example.com>\r\nDATA\r\n"
        % sender.encode()
    )
    for _ in range(4):
        await client.reply()
    client.send(b"Subject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n")
    await client.close()


async def sessions(server: MemoryServer, count: int) -> None:
    """Send messages of all clients in turn."""
    for number in range(count):
        await session(server, number, f"a@d{number % CLIENTS}.example")


async def measured(store: OpenedStore, plugins: Sequence[Plugin]) -> float:
    """Return the microseconds of a session."""
    best = float("inf")
    async with MemoryServer([Passed(), *plugins], store=store) as server:
        await sessions(server, CLIENTS)
        await server.advance(600)
        await sessions(server, WARM * CLIENTS)
        for _ in range(REPEATS):
            start = time.process_time()
            await sessions(server, SESSIONS)
            best = min(best, time.process_time() - start)
    return best / SESSIONS * 1e6


async def table(url: str) -> None:
    """Print the figures of one store."""
    base = 0.0
    for name, make in ROWS.items():
        with tempfile.TemporaryDirectory() as folder:
            opened = open_store(url, folder=Path(folder), prefix="bench:", timeout=PATIENT)
            try:
                found = await measured(opened, make())
            finally:
                await opened.close()
        base = base or found
        print(f"{url:8} {name:24} {found - base:8.0f}")


def main() -> int:
    """Print the table."""
    for url in sys.argv[1:] or ["memory", "local"]:
        asyncio.run(table(url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
