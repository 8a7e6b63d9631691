"""Webhooks: records of chosen events, sent to a URL by HTTP POST.

Theory of operation
-------------------
The sender is a thread with an event loop of its own, in the process that keeps the ledger. The
keeper passes records on and never waits. A request has up to BATCH records that have come within
`gather` seconds. A request that fails is sent again after each of `delays`, with the same id, and
then dropped. Records wait meanwhile, up to MOST; further ones are dropped and counted.

Security: a request is signed, so that the receiver recognises a forged or repeated one. The URL is
the administrator's; redirects are not followed, because they would take records elsewhere. Logs
have the host only: a path may contain a token.
Limits: MOST records and OCTETS wait for each URL, TIMEOUT seconds for a request. A reply is not
read beyond its status.
"""

import asyncio
import hmac
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from gatepost.ledger.records import Record, Transaction, to_json
from gatepost.ledger.words.listing import entry_of
from gatepost.log.logger import get_logger

if TYPE_CHECKING:
    import aiohttp

BATCH = 100
BATCH_OCTETS = 256 * 1024
MOST = 10_000
OCTETS = 16 * 1024 * 1024
TIMEOUT = 10.0
GATHER = 0.5
DELAYS = (1.0, 5.0, 30.0, 120.0, 600.0)
# Statuses of a receiver that may take the request later; all of 5xx are too.
_LATER = frozenset({408, 425, 429})

_log = get_logger("gatepost.ledger")


class Hook(msgspec.Struct, frozen=True):
    """The receiver of the records of some events; `secret` signs the requests."""

    url: str
    events: Collection[str]
    secret: bytes

    @property
    def host(self) -> str:
        """The part of the URL that may be logged."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}"


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of Gatepost-Signature: HMAC-SHA256 of the time, a full stop, the body."""
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, "sha256").hexdigest()


def is_event(record: Record, events: Collection[str]) -> bool:
    """Return whether a record belongs to the events: its result, or "trap" if one was hit."""
    if "trap" in events and isinstance(record, Transaction) and record.traps:
        return True
    return entry_of(record).result in events


class _Queue:
    """The records that wait for one URL, and their sender; used in the thread of the sender."""

    def __init__(self, hook: Hook, gather: float, delays: Sequence[float]) -> None:
        self.hook = hook
        self.idle = asyncio.Event()
        self.idle.set()
        self._gather = gather
        self._delays = delays
        self._waiting: deque[bytes] = deque()
        self._octets = 0
        self._dropped = self._sending = 0
        self._arrived = asyncio.Event()

    def add(self, lines: Iterable[bytes]) -> None:
        """Take records; drop those that there is no room for."""
        for line in lines:
            if len(self._waiting) >= MOST or self._octets + len(line) > OCTETS:
                self._drop(1, "too many records wait")
            else:
                self._waiting.append(line)
                self._octets += len(line)
        self.idle.clear()
        self._arrived.set()

    def drop_rest(self) -> None:
        """Drop what waits or is being sent, and log the number: the server stops."""
        count = self._dropped + self._sending + len(self._waiting)
        if count:
            problem = "the server stops"
            _log.error("webhook records dropped", host=self.hook.host, problem=problem, count=count)

    def _drop(self, count: int, problem: str) -> None:
        """Count dropped records; the first ones of an outage are logged at once."""
        if not self._dropped:
            _log.error("webhook records dropped", host=self.hook.host, problem=problem)
        self._dropped += count

    async def run(self, session: "aiohttp.ClientSession") -> None:
        """Send what comes, without end."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._gather)
            while self._waiting:
                lines = self._take()
                self._sending = len(lines)
                await self._send(session, lines)
                self._sending = 0
            self._arrived.clear()
            self.idle.set()

    def _take(self) -> list[bytes]:
        lines: list[bytes] = []
        octets = 0
        while self._waiting and len(lines) < BATCH and octets < BATCH_OCTETS:
            lines.append(self._waiting.popleft())
            octets += len(lines[-1])
        self._octets -= octets
        return lines

    async def _send(self, session: "aiohttp.ClientSession", lines: list[bytes]) -> None:
        """Send records in one request, several times if necessary."""
        body, request = b'{"records":[' + b",".join(lines) + b"]}", os.urandom(8).hex()
        for delay in (*self._delays, None):
            problem, is_final = await self._post(session, body, request)
            if not problem:
                self._succeeded()
                return
            if is_final or delay is None:
                self._drop(len(lines), problem)
                return
            _log.warning("webhook failed", host=self.hook.host, problem=problem, retry_in=delay)
            await asyncio.sleep(delay)

    def _succeeded(self) -> None:
        if self._dropped:
            _log.warning("webhook available", host=self.hook.host, dropped=self._dropped)
        self._dropped = 0

    async def _post(
        self, session: "aiohttp.ClientSession", body: bytes, request: str
    ) -> tuple[str, bool]:
        """Send a request; return the problem, "" without one, and whether it is final."""
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Gatepost-Id": request,
            "Gatepost-Timestamp": timestamp,
            "Gatepost-Signature": signature(self.hook.secret, timestamp, body),
        }
        try:
            async with session.post(
                self.hook.url, data=body, headers=headers, allow_redirects=False
            ) as reply:
                status = reply.status
        except Exception as error:  # noqa: BLE001 - the library has many, and the thread must go on
            return type(error).__name__, False
        if 200 <= status < 300:
            return "", True
        return f"status {status}", not (status >= 500 or status in _LATER)


class WebhookSender:
    """Sends records to all URLs. Raises ModuleNotFoundError without the package aiohttp."""

    def __init__(
        self, hooks: Sequence[Hook], gather: float = GATHER, delays: Sequence[float] = DELAYS
    ) -> None:
        import aiohttp  # noqa: F401, PLC0415 - an extra, and slow to import

        self._hooks = hooks
        self._loop = asyncio.new_event_loop()
        self._queues = [_Queue(hook, gather, delays) for hook in hooks]
        self._stopping = asyncio.Event()
        self._patience = 0.0
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def send(self, records: Iterable[Record]) -> None:
        """Take the records of one commit; called in the thread of the keeper."""
        found: list[list[bytes]] = [[] for _ in self._hooks]
        for record in records:
            for lines, hook in zip(found, self._hooks, strict=True):
                if is_event(record, hook.events):
                    lines.append(to_json(record))
        if any(found):
            self._call(lambda: self._add(found))

    def _add(self, found: Sequence[Sequence[bytes]]) -> None:
        for queue, lines in zip(self._queues, found, strict=True):
            if lines:
                queue.add(lines)

    def close(self, seconds: float) -> None:
        """Send what waits, at most for some seconds, and end the thread."""
        self._patience = seconds
        self._call(self._stopping.set)
        self._thread.join(seconds + TIMEOUT)

    def _call(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        import aiohttp  # noqa: PLC0415 - likewise

        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            senders = [asyncio.create_task(one.run(session)) for one in self._queues]
            await self._stopping.wait()
            waits = [asyncio.create_task(one.idle.wait()) for one in self._queues]
            await asyncio.wait(waits, timeout=self._patience)
            for task in (*waits, *senders):
                task.cancel()
        for queue in self._queues:
            queue.drop_rest()
