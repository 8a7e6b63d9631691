"""A cache in front of a table, which also protects the service behind it.

Theory of operation
-------------------
A look-up whose keys are all cached costs no coroutine. Other keys wait for a query. One query runs
at a time; keys that are asked for meanwhile are collected, and the next query has all of them, up
to the table's `batch`. A key that is waited for already is not asked again. A query runs in a task
of its own, so it does not end with the session that began it.

Positive answers are used for `seconds`, negative ones for NEGATIVE seconds at most. A failure is
not cached. After FAILURES failures in a row look-ups fail at once, except one query each PAUSE
seconds. The log has one line at the first failure and one when the table answers again.

A service that answers with an error is no outage: a client may have chosen a key that it cannot
take. The other keys of the query are asked alone then, and the log has at most one line in NOTED
seconds.

Trust: the answer of a table is checked. Limits: MOST positive and MOST negative answers; a query
takes the table's `timeout` at most.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from gatepost.log.logger import get_logger
from gatepost.net.inline import need_task
from gatepost.store.breaker import Breaker
from gatepost.tables.answers import NEGATIVE, Answers
from gatepost.tables.table import Found, Table, TableError

# A single lost connection is repaired by the next attempt.
FAILURES = 3
# Seconds: a table is used again soon after its server is back.
PAUSE = 2.0
# Seconds.
NOTED = 60.0

_log = get_logger("gatepost.tables")

_Answer = str | TableError | None


class Clock(Protocol):
    """Returns the time in seconds since 1970."""

    def time(self) -> float:
        """Return the time."""
        ...


class TableStatistics(msgspec.Struct):
    """Counts since the start of the worker: of keys, of queries, and of the seconds they took."""

    hits: int = 0
    misses: int = 0
    queries: int = 0
    failures: int = 0
    seconds: float = 0.0


class CachedTable(Table):
    """A table with a cache; positive answers are used for `seconds`."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(table.name)
        self.files = table.files
        self.statistics = TableStatistics()
        self._table = table
        self._clock = clock
        self._monotonic = monotonic
        self._positive: Answers[str, str] = Answers(seconds)
        self._negative: Answers[str, None] = Answers(min(seconds, NEGATIVE))
        self._breaker = Breaker(FAILURES, PAUSE)
        self._began = 0.0
        self._noted = -NOTED
        self._pending: dict[str, asyncio.Future[_Answer]] = {}
        self._waiting: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_started = False

    @property
    def is_unavailable(self) -> bool:
        """Return whether the last query has failed."""
        return bool(self._breaker.failures)

    def find(self, keys: Sequence[str]) -> Found | Awaitable[Found]:
        """See `Table.find`."""
        now = self._clock.time()
        found: dict[str, str] = {}
        missing: list[str] = []
        for key in keys:
            answer = self._positive.get(key, now)
            if answer is not None:
                found[key] = answer[1]
            elif self._negative.get(key, now) is None:
                missing.append(key)
        self.statistics.hits += len(keys) - len(missing)
        if not missing:
            return found
        self.statistics.misses += len(missing)
        return self._wait(found, {key: self._request(key) for key in missing})

    def _request(self, key: str) -> "asyncio.Future[_Answer]":
        """Return the answer to come; the next query has the key unless one has it already."""
        pending = self._pending.get(key)
        if pending is None:
            loop = asyncio.get_running_loop()
            pending = self._pending[key] = loop.create_future()
            self._waiting[key] = None
            if self._task is None:
                self._task = loop.create_task(self._work(), name=f"table {self.name}")
        return pending

    async def _wait(
        self, found: dict[str, str], pending: Mapping[str, "asyncio.Future[_Answer]"]
    ) -> Found:
        await need_task()
        await asyncio.wait(set(pending.values()))
        for key, future in pending.items():
            answer = future.result()
            if isinstance(answer, TableError):
                raise TableError(answer.table, answer.problem, answered=answer.answered)
            if answer is not None:
                found[key] = answer
        return found

    async def _work(self) -> None:
        """Answer all keys that wait, one query after the other."""
        try:
            while self._waiting:
                keys = list(islice(self._waiting, self._table.batch))
                for key in keys:
                    del self._waiting[key]
                found = await self._query(keys)
                if isinstance(found, TableError) and found.answered and len(keys) > 1:
                    for key in keys:
                        self._resolve([key], await self._query([key]))
                else:
                    self._resolve(keys, found)
        finally:
            self._task = None
            self._waiting.clear()
            self._resolve(list(self._pending), TableError(self.name, "the table was closed"))

    def _resolve(self, keys: Sequence[str], found: Found | TableError) -> None:
        """Keep the answers and pass them to those that wait."""
        now = self._clock.time()
        for key in keys:
            future = self._pending.pop(key)
            if isinstance(found, TableError):
                future.set_result(found)
                continue
            answer = found.get(key)
            if answer is None:
                self._negative.put(key, None, now)
            else:
                self._positive.put(key, answer, now)
            future.set_result(answer)

    async def _query(self, keys: Sequence[str]) -> Found | TableError:
        began = self._monotonic()
        if not self._breaker.allows(began):
            return TableError(self.name, "unavailable, and not asked again for a moment")
        self.statistics.queries += 1
        found = await self._ask_table(keys)
        self.statistics.seconds += self._monotonic() - began
        if not isinstance(found, TableError):
            self._succeeded()
        elif found.answered:
            self._succeeded()
            self._note(found)
        else:
            self._failed(found)
        return found

    async def _ask_table(self, keys: Sequence[str]) -> Found | TableError:
        try:
            async with asyncio.timeout(self._table.timeout):
                await self.start()
                return self._checked(await self._table.ask(keys))
        except TableError as error:
            return error
        except TimeoutError:
            return TableError(self.name, f"no answer within {self._table.timeout:g} seconds")
        except Exception as error:  # noqa: BLE001 - a driver can raise anything
            return TableError(self.name, f"{type(error).__name__}: {error}")

    def _checked(self, found: object) -> Found:
        """Return the answer of a table; raises `TableError` unless it has the right type."""
        if isinstance(found, Mapping) and all(isinstance(one, str) for one in found.values()):
            return found
        raise TableError(self.name, "expected a mapping of texts")

    def _failed(self, error: TableError) -> None:
        self.statistics.failures += 1
        now = self._monotonic()
        if not self._breaker.failures:
            self._began = now
            _log.error("table unavailable", table=self.name, problem=error.problem)
        self._breaker.failed(now)

    def _note(self, error: TableError) -> None:
        self.statistics.failures += 1
        now = self._monotonic()
        if now - self._noted >= NOTED:
            self._noted = now
            _log.warning("table query failed", table=self.name, problem=error.problem)

    def _succeeded(self) -> None:
        if self._breaker.failures:
            self._breaker.succeeded()
            seconds = round(self._monotonic() - self._began, 1)
            _log.warning("table available", table=self.name, seconds=seconds)

    async def start(self) -> None:
        """See `Table.start`."""
        if not self._is_started:
            await self._table.start()
            self._is_started = True

    async def stop(self) -> None:
        """See `Table.stop`; look-ups that wait fail."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._is_started = False
        await self._table.stop()
