"""The live data of one dashboard: its feeds, its places, its threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gatepost.web.live.cursor import Cursors
from gatepost.web.live.places import Places
from gatepost.web.live.records import RecordsFeed
from gatepost.web.live.sessions import SessionsFeed

# One for each feed, and one for viewers that read by themselves.
_THREADS = 3

R = TypeVar("R")


class LiveData:
    """The feeds of the server in a data folder; `key` is that of the dashboard."""

    def __init__(self, data_dir: Path, key: bytes) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "gatepost-live")
        self._is_closing = False
        self.cursors = Cursors(key)
        self.places = Places()
        self.sessions = SessionsFeed(data_dir, self._run)
        self.records = RecordsFeed(data_dir / "ledger", self.cursors, self._run)

    def is_closing(self) -> bool:
        """Return whether streams must end."""
        return self._is_closing

    def end_streams(self) -> None:
        """Let all streams end now."""
        self._is_closing = True
        self.sessions.wake()
        self.records.wake()

    def close(self) -> None:
        """Release the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], R]) -> R:
        return await asyncio.wrap_future(self._threads.submit(work))
