"""The queue of one worker: its own spool file, and those that nobody else looks after.

Theory of operation
-------------------
What comes is put into the worker's own file. Once in a while the folder is searched for files whose
owner is gone – a worker that crashed, or one of a reload with more workers before – and they are
adopted: run beside the own one, and removed when the last message has left them. With each file go
those that were damaged and set aside before it (`salvager`).

Limits: a file with held messages stays; each is a thread and three open files.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from gatepost.config import schema
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.clock import Clock
from gatepost.queue.disposition import Disposition
from gatepost.queue.dsn.compose import DsnComposer
from gatepost.queue.dsn.notify import SuccessDsn
from gatepost.queue.recovery import Recovery
from gatepost.queue.retry_policy import RetryPolicy
from gatepost.queue.runner import DISK, Runner, told
from gatepost.queue.schedule import Schedule
from gatepost.queue.spool.database import not_spooled
from gatepost.queue.spool.folder import Claimed, claim, orphans
from gatepost.queue.spool.opening import Opener
from gatepost.queue.spool.records import NewMessage, Work
from gatepost.queue.spool.schema import VersionError
from gatepost.queue.spool.store import Store
from gatepost.queue.spool.writer import Writer
from gatepost.queue.throttle import DestinationThrottle

# How often due work, and what an administrator has changed, is looked for, in seconds.
TICK = 1.0
# How often files without an owner are looked for, in ticks: a worker that crashed is replaced after
# a second, and should find its own file.
ADOPT = 3

_log = structlog.get_logger("gatepost.queue")


class _Running(NamedTuple):
    claimed: Claimed
    runner: Runner
    salvager: Recovery


class Queue:
    """Keeps mail in `folder` and delivers it by the routes of `router`, as `config` says.

    `hostname` is who sends notices; `subaddress` separates user and tag in a sender's address.
    """

    def __init__(
        self,
        config: schema.QueueConfig,
        folder: Path,
        router: Router,
        clock: Clock,
        *,
        hostname: str,
        subaddress: str,
    ) -> None:
        schedule = Schedule(config.retry)
        terms = RetryPolicy(hostname, config.expire, config.delay_notice, subaddress)
        self._folder = folder
        self._router = router
        self._clock = clock
        self._gate = DestinationThrottle(
            schedule, total=config.concurrency, each=config.concurrency_per_destination
        )
        self._disposition = Disposition(
            terms, schedule, DsnComposer(terms, router), router, _log.bind()
        )
        self._opener = Opener(
            self._damaged, size=config.spool_size, horizon=schedule.longest, opens=self._gate.opens
        )
        self._starting = asyncio.Lock()
        self._own: Runner | None = None
        self._running: list[_Running] = []
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open a file and begin to deliver, unless that has been done.

        Raises OSError, sqlite3.Error or `VersionError`, and then leaves nothing behind.
        """
        async with self._starting:
            if self._own is None:
                self._loop = asyncio.get_running_loop()
                self._own = await self._run(await asyncio.to_thread(claim, self._folder))
                self._keeper = self._loop.create_task(self._keep(), name="queue keeper")

    async def stop(self, patience: float) -> None:
        """Begin no delivery, wait `patience` seconds for those that are on their way, and end."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await asyncio.gather(*(one.salvager.stop() for one in self._running))
        await asyncio.gather(*(one.runner.stop(patience) for one in self._running))
        for one in self._running:
            one.claimed.release()
        self._running.clear()

    async def put(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError] | None = None,
    ) -> None:
        """Keep a message for recipients of a transaction; it is durable when this returns.

        Starts the queue if that has not been done.

        `failures` are those of them that have been tried already: one that may be tried again is,
        later; of one that may not the sender is told, or the administrator. Raises `DeliveryError`,
        and then keeps nothing.
        """
        own = self._own or await self._started()
        now = self._clock.time()
        await self._post(
            own, self._disposition.accept(tx, recipients, message, failures or {}, now), now
        )

    async def report(self, tx: Transaction, message: Message, successes: SuccessDsn) -> None:
        """Keep notices to a sender of recipients whose mail was taken without the queue.

        Else as `put`.
        """
        own = self._own or await self._started()
        now = self._clock.time()
        await self._post(own, self._disposition.report(tx, message, successes, now), now)

    async def _post(self, own: Runner, new_messages: Sequence[NewMessage], now: float) -> None:
        post = Store.post_fresh if own.takes_at_once(new_messages, now) else Store.post
        try:
            store, works = await own.writer.submit(partial(_post_all, post, new_messages, now))
        except DISK as error:
            raise not_spooled(error) from error
        own.offer(store, works)

    async def _started(self) -> Runner:
        """Start now that there is something to do; raises `DeliveryError`."""
        try:
            await self.start()
        except (*DISK, VersionError) as error:
            raise not_spooled(error) from error
        assert self._own is not None
        return self._own

    async def _run(self, claimed: Claimed) -> Runner:
        try:
            store = await asyncio.to_thread(self._opener.open, claimed.path)
        except BaseException:
            claimed.release()
            raise
        writer = Writer(store, self._opener.replace)
        runner = Runner(writer, self._gate, self._disposition, self._router, self._clock)
        runner.start()
        salvager = Recovery(claimed.path, writer, runner.wake)
        salvager.start()
        self._running.append(_Running(claimed, runner, salvager))
        return runner

    async def _keep(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(TICK)
            turn += 1
            for one in self._running:
                one.runner.tick()
            if turn % ADOPT == 0:
                try:
                    await self.adopt()
                except Exception as error:  # noqa: BLE001 - what is on its way goes on
                    _not_looked_after(self._folder, error)

    async def adopt(self) -> None:
        """Leave adopted files that are empty, and take up those that nobody owns."""
        for one in self._running[1:]:
            is_idle = one.runner.is_idle and one.salvager.is_idle
            if is_idle and await one.runner.writer.submit(Store.is_empty):
                self._running.remove(one)
                await one.salvager.stop()
                await one.runner.stop(0)
                one.claimed.remove()
        found = orphans(self._folder)
        while (claimed := await asyncio.to_thread(next, found, None)) is not None:
            try:
                await self._run(claimed)
            except Exception as error:  # noqa: BLE001 - one file must not stop the others
                _not_looked_after(claimed.path, error)
            else:
                _log.info("spool file adopted", file=str(claimed.path))

    def _damaged(self, path: Path) -> None:
        """Have what can be read of a damaged file put back; called in any thread."""
        self._loop.call_soon_threadsafe(self._salvage, path)

    def _salvage(self, path: Path) -> None:
        for one in self._running:
            if one.claimed.path == path:
                one.salvager.look()


def _not_looked_after(path: Path, error: Exception) -> None:
    _log.error("queue not looked after", path=str(path), **told(error, (*DISK, VersionError)))


def _post_all(
    post: Callable[[Store, NewMessage, float], list[Work]],
    new_messages: Sequence[NewMessage],
    now: float,
    store: Store,
) -> tuple[Store, list[Work]]:
    return store, [work for one in new_messages for work in post(store, one, now)]
