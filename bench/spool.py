"""The cost of the spool: `python -m bench.spool`, with `--messages 1000000` for a full one.

Stores messages of 4 KB as a worker does, from 1, 20 and 100 producers that each wait until their
message is durable. The reference is the minimum on the same disk: a log to which the same octets
are appended, with one fdatasync for all that arrive together. Then fills a spool, and measures the
time of a put, a list and a start, compared with an empty one.

Limits: CPU is that of the whole process, producers included. The disk is that of --folder.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from statistics import median

from gatepost.config import schema
from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Delivery, DeliveryError, Target
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.plugin.clock import SystemClock
from gatepost.queue.queue import Queue
from gatepost.queue.spool import admin
from gatepost.queue.spool.records import (
    NewMessage,
    NewRecipient,
    message_facts,
    recipient_facts,
)
from gatepost.queue.spool.store import Store

CONTENT = b"Subject: bench\r\n\r\n" + b"x" * 76 * 50 + b"\r\n"
PRODUCERS = (1, 20, 100)
FILLED_AT_ONCE = 1000

LISTS = {
    "first page": admin.Selection(),
    "by destination": admin.Selection(destination="unreachable:"),
    "by unknown sender": admin.Selection(sender="unknown@*"),
    "held": admin.Selection(state="held"),
}

Put = Callable[[], Awaitable[object]]


class Unreachable(Target):
    """A target that never answers."""

    async def deliver(self, delivery: Delivery) -> None:
        """Fail."""
        raise DeliveryError("unreachable", detail=delivery.transaction.id)


class Log:
    """The minimum: octets appended to a file, one fdatasync for all waiting producers."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.syncs = 0

    async def put(self, octets: bytes) -> None:
        """Return when the octets are durable."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((octets, future))
        await future

    def close(self) -> None:
        """End the thread."""
        self._jobs.put(None)
        self._thread.join()
        os.close(self._file)

    def _run(self) -> None:
        while True:
            group = [self._jobs.get()]
            while not self._jobs.empty():
                group.append(self._jobs.get())
            jobs = [job for job in group if job is not None]
            os.writev(self._file, [octets for octets, _ in jobs])
            os.fdatasync(self._file)
            self.syncs += 1
            self._loop.call_soon_threadsafe(_done, [future for _, future in jobs])
            if len(jobs) < len(group):
                return


def _done(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def transaction() -> tuple[Transaction, Message]:
    """Return a message for one recipient."""
    session = Session("bench", Endpoint("192.0.2.1", 1), Endpoint("192.0.2.9", 25), time.time())
    to = Recipient(Address("user", "example.com"), {}, "user", "example.com")
    sender = Address("sender", "example.net")
    message = Message(1 << 20)
    message.write(CONTENT)
    return Transaction("bench.1", session, sender, {}, time.time(), [to]), message


def queue(folder: Path) -> Queue:
    """Return a queue that delivers nothing."""
    router = Router(
        [(["*"], Route(Unreachable(), "unreachable:", "queue"))], hostname="mx.example.com"
    )
    config = schema.QueueConfig(concurrency=1, retry=[86400.0])
    return Queue(
        config,
        folder,
        router,
        SystemClock(),
        hostname="mx.example.com",
        subaddress="+",
        is_local=lambda _: True,
    )


async def rate(put: Put, producers: int, count: int) -> tuple[float, float]:
    """Return messages a second and microseconds of CPU for each."""

    async def produce() -> None:
        for _ in range(count // producers):
            await put()

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(produce() for _ in range(producers)))
    took, cpu = time.perf_counter() - began, time.process_time() - used
    return count / took, cpu / count * 1e6


@contextlib.contextmanager
def counted_commits() -> Iterator[list[int]]:
    """Count the commits that wrote something to SQLite."""
    commit, changes = Store.commit, [0]

    def counting(store: Store) -> None:
        before = changes[-1]
        if store.connection.total_changes != before:
            changes.append(store.connection.total_changes)
        commit(store)

    Store.commit = counting  # type: ignore[method-assign, assignment]
    try:
        yield changes
    finally:
        Store.commit = commit  # type: ignore[method-assign]


async def spool_rate(folder: Path, producers: int, count: int) -> None:
    """Measure the spool."""
    made = queue(folder)
    await made.start()
    tx, message = transaction()
    with counted_commits() as commits:
        speed, cpu = await rate(lambda: made.put(tx, tx.recipients, message), producers, count)
    await made.stop(1)
    print_rate(f"spool, {producers} producers", speed, cpu, (len(commits) - 1) / count)


async def log_rate(folder: Path, producers: int, count: int) -> None:
    """Measure the log."""
    log = Log(folder / "log")
    speed, cpu = await rate(lambda: log.put(CONTENT), producers, count)
    log.close()
    print_rate(f"log, {producers} producers", speed, cpu, log.syncs / count)


def print_rate(name: str, speed: float, cpu: float, syncs: float) -> None:
    """Print a row."""
    print(f"{name:<24} {speed:>9,.0f}/s {cpu:>7.1f} us CPU {syncs:>7.3f} syncs a message")


async def full(folder: Path, messages: int) -> None:
    """Fill a spool, and measure the operations that depend on its size."""
    fill(folder / "full" / "1.db", messages)
    began = time.perf_counter()
    made = queue(folder / "full")
    await made.start()
    started = time.perf_counter() - began
    await made.stop(1)
    rounds = [[await latency(folder / name, 400) for name in ("empty", "full")] for _ in range(5)]
    empty, there = (median(one) * 1e6 for one in zip(*rounds, strict=True))
    print(f"put, one by one          {empty:,.0f} us empty, {there:,.0f} us full (medians of 5)")
    print(f"start with {messages:,} messages: {started * 1e3:,.1f} ms")
    for name, selection in LISTS.items():
        began = time.perf_counter()
        found = len(list(admin.entries(folder / "full", selection, 50)))
        print(f"list, {name}: {(time.perf_counter() - began) * 1e3:,.1f} ms, {found} found")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak // 1024} MiB")


async def latency(folder: Path, count: int) -> float:
    """Return the seconds of a single put."""
    made = queue(folder)
    await made.start()
    tx, message = transaction()
    speed, _ = await rate(lambda: made.put(tx, tx.recipients, message), 1, count)
    await made.stop(1)
    return 1 / speed


def fill(path: Path, messages: int) -> None:
    """Store many short messages in a new file, as fast as possible."""
    path.parent.mkdir(parents=True)
    store = Store(path, size=1 << 40, horizon=1e9, suspended_until=lambda _: 0.0)
    tx, _ = transaction()
    to = NewRecipient(recipient_facts(tx.recipients[0]), "unreachable:", time.time() + 86400)
    now, content = time.time(), b"Subject: short\r\n\r\n"
    facts = message_facts(tx)
    new_message = NewMessage(facts, [to], [content], len(content), now, now + 1e6, now + 1e6)
    for _ in range(messages // FILLED_AT_ONCE):
        store.begin()
        for _ in range(FILLED_AT_ONCE):
            store.put(new_message)
        store.commit()
    store.close()


async def measure(folder: Path, messages: int, count: int) -> None:
    """Measure everything."""
    for producers in PRODUCERS:
        share = count * min(producers, 20) // 20
        await log_rate(folder, producers, share)
        await spool_rate(folder / f"spool{producers}", producers, share)
    if messages:
        await full(folder, messages)


def main() -> int:
    """Run the benchmark that the command line selects."""
    options = argparse.ArgumentParser(
        prog="python -m bench.spool", description="Measure the spool."
    )
    options.add_argument("--messages", type=int, default=0, help="messages in the full spool")
    options.add_argument("--count", type=int, default=20_000, help="number of puts to measure")
    options.add_argument("--folder", type=Path, help="folder on the disk to measure")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        asyncio.run(measure(Path(folder), given.messages, given.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
