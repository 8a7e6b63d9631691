"""The resolver of a worker: a cache in front of the name servers, for all plugins and `mx:` routes.

Theory of operation
-------------------
An answer from the cache needs no task and does not suspend the caller. Otherwise the question is
asked in a task of its own, once for all that ask it at the same time; it goes on if they are
cancelled, and its answer is kept. Callers get copies of the records.

- Records are kept for the smallest TTL of the answer, within SHORTEST and LONGEST.
- "No such name" and "no such record" are kept for NEGATIVE seconds, because aiodns does not return
  the TTL of these answers.
- Failures are kept for FAILED seconds: the next session with the same name does not wait again.

While no name server answers (`gatepost.net.name_servers`), questions fail at once; answers in the
cache are still used.

Limits: MOST_PENDING questions at the same time, more fail at once. The cache is limited in octets,
see `gatepost.net.answer_cache`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from secrets import token_hex
from typing import Protocol

from gatepost.net.answer_cache import AnswerCache, Key
from gatepost.net.dns_response import Response
from gatepost.net.dns_status import DnsStatus
from gatepost.net.inline import need_task
from gatepost.net.name_servers import NameServers
from gatepost.net.questions import Answer, Kind
from gatepost.net.resolver import AnsweringResolver

# TTL 0 means: for this transaction. Several plugins ask the same question about one message.
SHORTEST = 1.0
# A record that is changed with a wrong TTL is found after a day. As Unbound's cache-max-ttl.
LONGEST = 86_400.0
# A new record, or a new entry of a DNS list, is found after a minute at the latest.
NEGATIVE = 60.0
FAILED = 5.0
# 14 questions for each of 70 sessions that begin at the same time. As Unbound's default
# (num-queries-per-thread is 1024).
MOST_PENDING = 1000
CACHE_SIZE = 16 * 1024 * 1024

CLOSED = Answer("failed", (), "the lookup was cancelled")
UNAVAILABLE = Answer("failed", (), "the name servers do not answer")
TOO_MANY = Answer("failed", (), f"{MOST_PENDING} questions are being asked already")


class Source(Protocol):
    """Asks name servers, such as `gatepost.net.resolver.DnsResolver`."""

    async def query(self, kind: Kind, key: str) -> Response:
        """Ask a question about a canonical name."""

    async def close(self) -> None:
        """Stop lookups in progress."""


class CachedResolver(AnsweringResolver):
    """A `Resolver` with a cache of `octets`; `clock` returns seconds.

    It belongs to one event loop, from the first lookup on.
    """

    def __init__(
        self,
        source: Source,
        octets: int = CACHE_SIZE,
        clock: Callable[[], float] = time.monotonic,
        servers: NameServers | None = None,
    ) -> None:
        self._source = source
        self._cache = AnswerCache(octets, clock)
        self._servers = servers or NameServers(self._reaches_server, clock)
        self._pending: dict[Key, asyncio.Task[Answer]] = {}
        self._lookups: Counter[str] = Counter()
        self._queries: Counter[str] = Counter()
        self._hits = 0

    @property
    def status(self) -> DnsStatus:
        """The counts since the start."""
        return DnsStatus(
            lookups={"cache": self._hits, **self._lookups},
            queries=dict(self._queries),
            evictions=self._cache.evictions,
            entries=len(self._cache),
            octets=self._cache.octets,
            unavailable=self._servers.unavailable,
        )

    async def close(self) -> None:
        """Stop lookups in progress. A later lookup opens the resolver again."""
        await self._servers.close()
        pending = list(self._pending.values())
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
            self._pending.clear()  # a task that has not begun does not remove itself
        await self._source.close()

    def known(self, kind: Kind, name: str) -> Answer | None:
        """Return an answer in the cache. Only canonical names are in it."""
        found = self._cache.get((kind, name))
        if found is not None:
            self._hits += 1
        return found

    async def answer(self, kind: Kind, key: str) -> Answer:
        """Return the answer of the cache or of a name server."""
        found = self.known(kind, key)
        return await self._wait((kind, key)) if found is None else found

    async def _wait(self, key: Key) -> Answer:
        """Wait for the answer to a question, which is asked once for all."""
        task = self._pending.get(key)
        by = "shared" if task is not None else self._obstacle()
        self._lookups[by] += 1
        if by in _REFUSED:
            return _REFUSED[by]
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key))
            self._pending[key] = task
        await need_task()
        await asyncio.wait({task})
        return CLOSED if task.cancelled() else task.result()

    def _obstacle(self) -> str:
        """Return why no question can be asked, otherwise "query"."""
        if self._servers.unavailable:
            return "outage"
        return "limit" if len(self._pending) >= MOST_PENDING else "query"

    async def _ask(self, key: Key) -> Answer:
        try:
            response = await self._source.query(*key)
        finally:
            self._pending.pop(key, None)
        answer = response.answer
        self._queries[answer.status if response.reached else "timeout"] += 1
        if not response.reached:
            self._servers.unanswered()
        elif answer.status == "failed":
            self._servers.failed(answer.problem)
        else:
            self._servers.answered()
        self._cache.put(key, answer, _seconds(response))
        return answer

    async def _reaches_server(self) -> bool:
        """Return whether a name server answers a question.

        RFC 6761 section 6.3: it answers this one at once. The name is new, because c-ares may have
        the answer to an older one.
        """
        return (await self._source.query("A", f"{token_hex(8)}.localhost")).reached


_REFUSED = {"outage": UNAVAILABLE, "limit": TOO_MANY}
_KEPT = {"failed": FAILED, "empty": NEGATIVE, "absent": NEGATIVE}


def _seconds(response: Response) -> float:
    """Return how long an answer is kept."""
    kept = _KEPT.get(response.answer.status)
    return min(max(response.seconds or 0.0, SHORTEST), LONGEST) if kept is None else kept
