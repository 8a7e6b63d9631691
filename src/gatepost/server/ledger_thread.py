"""The ledger of an embedded server: a thread instead of a process.

Records take the same way as in a worker: through a link and a pair of sockets. The event loop never
waits for the thread.
"""

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from gatepost.config.schema import Config
from gatepost.ledger.link import INTERVAL, Link, socket_pair
from gatepost.ledger.records import Record

if TYPE_CHECKING:
    from gatepost.metrics.counting import Counting

# How long a stop waits for the records that are not written yet, in seconds.
STOP_TIMEOUT = 10.0


class LedgerThread:
    """Keeps the records of one server. Raises `LedgerError` or OSError if they cannot be kept."""

    def __init__(self, config: Config, counting: "Counting") -> None:
        # Not needed by a worker, which imports this module for `flush`.
        from gatepost.server.ledger_opening import open_keeper  # noqa: PLC0415

        self._keeper = open_keeper(config, counting, counts=False)
        self._reader, self._sender = socket_pair()
        loop = asyncio.get_running_loop()
        self._link = Link(self._sender, loop.call_later)
        self._thread = threading.Thread(
            target=self._keeper.run, args=(self._reader,), name="ledger", daemon=True
        )
        self._thread.start()

    def add(self, record: Record) -> None:
        """Take a record; called in the event loop."""
        self._link.add(record)

    async def stop(self) -> None:
        """Write what has come, and end the thread."""
        await flush(self._link, STOP_TIMEOUT)
        self._sender.close()
        await asyncio.to_thread(self._thread.join, STOP_TIMEOUT)
        self._reader.close()


async def flush(link: Link, seconds: float) -> None:
    """Send all records; give up after some seconds."""
    until = time.monotonic() + seconds
    while not link.flush():
        if time.monotonic() > until:
            break
        await asyncio.sleep(INTERVAL)
