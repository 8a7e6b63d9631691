"""Notify plugins of facts that no hook has, such as a malformed command or a time-out.

Theory of operation
-------------------
The facts come from `gatepost.session.recorder`, between two replies. Methods are called in place; a
coroutine is driven in place, and continued in a task if it waits. No session waits for it.

Limits: at most PENDING notifications wait. While they do, further ones are dropped and counted, so
that a flood of malformed commands cannot fill the memory. One log line a minute has the count.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from gatepost.log.logger import get_logger
from gatepost.net.inline import UNFINISHED, finish, first_step
from gatepost.plugin.chain import Chain

# Enough for a burst of methods that wait for a database; some 5 KB each.
PENDING = 100
_MINUTE = 60.0

_log = get_logger("gatepost.plugin")


class Notifier:
    """Calls the methods of `chains` by the name of the notification."""

    def __init__(self, chains: Mapping[str, Chain]) -> None:
        self._chains = {name: chain for name, chain in chains.items() if chain}
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = 0.0
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._chains)

    def notify(self, name: str, *args: Any) -> None:
        """Call the methods of one notification; their failures are logged."""
        chain = self._chains.get(name)
        if chain is None:
            return
        if len(self._tasks) >= PENDING:
            self._drop()
            return
        work = chain.follow(*args)
        if first_step(work) is UNFINISHED:
            task = asyncio.get_running_loop().create_task(finish(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _drop(self) -> None:
        self.dropped += 1
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _MINUTE
            _log.warning("plugin notifications dropped", count=self.dropped)
            self.dropped = 0

    async def close(self) -> None:
        """Cancel the notifications that still wait."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
