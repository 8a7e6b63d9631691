"""Outages of the name servers: a dead one does not cost each message a time-out.

Theory of operation
-------------------
A single time-out proves nothing: the servers of a domain may be dead, and clients choose domains.
After SUSPECT time-outs in a row, without an answer in between, `probe` asks a question that every
living server answers at once. Without an answer the servers are unavailable: questions fail at
once, and the probe is repeated every PAUSE seconds until it has an answer. So the owner of a domain
cannot make the servers appear unavailable.

A server that answers everything with an error, such as one without a connection to the Internet, is
not unavailable: its cache may still have answers. After FAILING errors in a row, for PERIOD seconds
without another answer, the log states it.

One log line for the begin of an outage, one for its end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gatepost.log.logger import get_logger

SUSPECT = 3
PAUSE = 2.0
# Errors about names that a client has chosen prove nothing, so both must be exceeded.
FAILING = 20
PERIOD = 30.0

_log = get_logger("gatepost.dns")


class NameServers:
    """The state of the name servers of a worker.

    `probe` returns whether one of them has answered. `clock` returns seconds; `sleep` waits.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[bool]],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._sleep = sleep
        self._unanswered = 0
        self._failed = 0
        self._began = self._first_failed = 0.0
        self._is_failing = False
        self._task: asyncio.Task[None] | None = None
        self.unavailable = False

    def answered(self) -> None:
        """Take note of an answer that is no error."""
        self.reached()
        self._failed = 0
        if self._is_failing:
            self._is_failing = False
            seconds = round(self._clock() - self._first_failed, 1)
            _log.warning("DNS lookups working", seconds=seconds)

    def failed(self, problem: str) -> None:
        """Take note of an answer that is an error of a name server."""
        self.reached()
        if not self._failed:
            self._first_failed = self._clock()
        self._failed += 1
        is_long = self._clock() - self._first_failed >= PERIOD
        if self._failed >= FAILING and is_long and not self._is_failing:
            self._is_failing = True
            _log.error("DNS lookups failing", failed=self._failed, problem=problem)

    def reached(self) -> None:
        """Take note of an answer of any kind."""
        self._unanswered = 0
        if self.unavailable:
            self.unavailable = False
            seconds = round(self._clock() - self._began, 1)
            _log.warning("name servers available", seconds=seconds)

    def unanswered(self) -> None:
        """Take note of a question without an answer; call this in the event loop."""
        self._unanswered += 1
        if self._unanswered >= SUSPECT and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        try:
            while not await self._probe():
                self._not_reached()
                await self._sleep(PAUSE)
            self.reached()
        finally:
            self._task = None

    def _not_reached(self) -> None:
        if not self.unavailable:
            self.unavailable = True
            self._began = self._clock()
            _log.error("name servers unavailable", unanswered=self._unanswered)

    async def close(self) -> None:
        """Stop the probe."""
        task = self._task
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
