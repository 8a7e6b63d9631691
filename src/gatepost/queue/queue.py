"""The queue of one worker: its own spool file, and adopted files without an owner.

Theory of operation
-------------------
New messages go to the worker's own file. Every few seconds the folder is searched for files without
an owner: a worker crashed, or a reload reduced the number of workers. These files are adopted: they
run next to the own file, and are removed when they are empty. The owner of a file also recovers the
damaged files of the same number (`recovery`).

Limits: a file with held messages stays; each file costs a thread and three descriptors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gatepost.config import schema
from gatepost.config.quarantine import QuarantineConfig
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.log.logger import get_logger
from gatepost.model.message import Message
from gatepost.model.session import Hold, Recipient, Transaction
from gatepost.plugin.clock import Clock
from gatepost.queue.administration import Administration
from gatepost.queue.disposition import Disposition
from gatepost.queue.dsn.compose import AddedFields, DsnComposer
from gatepost.queue.dsn.notify import SuccessActions
from gatepost.queue.quarantine import Quarantine
from gatepost.queue.recorder import DeliveryLog, DeliveryRecorder
from gatepost.queue.recovery import Recovery
from gatepost.queue.routing import QueueRouter
from gatepost.queue.runner import Runner
from gatepost.queue.schedule import RetryPolicy, Schedule
from gatepost.queue.spool.folder import ClaimedFile, claim, orphans
from gatepost.queue.spool.opening import Opener
from gatepost.queue.spool.records import NewMessage
from gatepost.queue.spool.sql.database import STORAGE_ERRORS, error_fields, spool_error
from gatepost.queue.spool.sql.schema import VersionError
from gatepost.queue.spool.store import Store
from gatepost.queue.spool.writer import start_writer
from gatepost.queue.spool_access import SpoolAccess
from gatepost.queue.throttle import DestinationThrottle

# Seconds between two checks for due jobs and for changes of the administrator.
TICK = 1.0
# Ticks between two searches for files without an owner: a crashed worker is replaced after a
# second, and should get its own file back.
ADOPT = 3

# Returns the messages to store, for the time at which they are stored.
Accept = Callable[[float], Sequence[NewMessage]]

_log = get_logger("gatepost.queue")


_USUAL = QuarantineConfig()


class OpenFile(NamedTuple):
    """A spool file that this queue owns and delivers."""

    claimed: ClaimedFile
    runner: Runner
    recovery: Recovery


class Queue:
    """Stores mail in `folder` and delivers it by the routes of `router`, as configured.

    `hostname` sends DSNs. `subaddress` separates the user and the tag in the address of a sender.
    `is_local` is whether a domain is one of this server. Results go to the log unless there is a
    `recorder`. `added_fields` returns header fields for a DSN.
    `tick` and `adopt` run every `interval` seconds; if it is None, the caller has to call them.
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
        is_local: Callable[[str], bool],
        quarantine: QuarantineConfig = _USUAL,
        recorder: DeliveryRecorder | None = None,
        added_fields: AddedFields = lambda _dsn: (),
        interval: float | None = TICK,
    ) -> None:
        schedule = Schedule(config.retry)
        policy = RetryPolicy(hostname, config.expire, config.delay_notice, subaddress)
        recorder = recorder or DeliveryLog()
        routes = QueueRouter(router, is_local)
        dsn = DsnComposer(policy, routes, recorder, added_fields)
        self._quarantine = Quarantine(quarantine)
        self._recorder = recorder
        self._expire = config.expire
        self._folder = folder
        self._router = routes
        self._clock = clock
        self._interval = interval
        self.throttle = DestinationThrottle(
            schedule, total=config.concurrency, each=config.concurrency_per_destination
        )
        self._disposition = Disposition(policy, schedule, dsn, routes, recorder)
        self._opener = Opener(
            self._on_damage,
            size=config.spool_size,
            horizon=schedule.longest,
            suspended_until=self.throttle.suspended_until,
        )
        self._starting = asyncio.Lock()
        self._own: Runner | None = None
        # The own file, then the adopted ones.
        self.files: list[OpenFile] = []
        self._timer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open a file and start to deliver, unless the queue has started.

        Raises OSError, sqlite3.Error or `VersionError`, and then leaves nothing behind.
        """
        async with self._starting:
            if self._own is None:
                self._loop = asyncio.get_running_loop()
                self._own = await self._run(await asyncio.to_thread(claim, self._folder))
                if self._interval is not None:
                    maintenance = self._maintain(self._interval)
                    self._timer = self._loop.create_task(maintenance, name="queue maintenance")

    async def stop(self, patience: float) -> None:
        """Start no more deliveries, wait `patience` seconds for the active ones, and stop."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait([self._timer])
        await asyncio.gather(*(one.recovery.stop() for one in self.files))
        await asyncio.gather(*(one.runner.stop(patience) for one in self.files))
        for one in self.files:
            one.claimed.release()
        self.files.clear()

    # new messages

    def put(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError] | None = None,
        *,
        hold: Hold | None = None,
    ) -> Awaitable[None]:
        """Store a message for recipients of a transaction; it is durable after the wait.

        Starts the queue if necessary. `failures` are recipients that have been tried before:
        temporary failures are retried later; permanent ones are reported to the sender, or held.
        With `hold` all are held until the administrator releases them.
        Raises `DeliveryError`, and then stores nothing.
        """
        if hold is not None:
            self._quarantine.admit(message.full_size)
        return self._post(
            lambda now: self._disposition.accept(
                tx, recipients, message, failures or {}, now, hold=hold
            )
        )

    def report_successes(
        self, tx: Transaction, message: Message, successes: SuccessActions
    ) -> Awaitable[None]:
        """Store the success DSNs of a message that was delivered without the queue.

        Otherwise the same as `put`.
        """
        return self._post(
            lambda now: self._disposition.accept_successes(tx, message, successes, now)
        )

    def _post(self, accept: Accept) -> Awaitable[None]:
        if self._own is None:
            return self._start_and_post(accept)
        now = self._clock.time()
        return self._own.post(accept(now), now)

    async def _start_and_post(self, accept: Accept) -> None:
        runner, now = await self._started(), self._clock.time()
        await runner.post(accept(now), now)

    async def _started(self) -> Runner:
        """Start the queue, and return the runner of its own file; raises `DeliveryError`."""
        try:
            await self.start()
        except (*STORAGE_ERRORS, VersionError) as error:
            raise spool_error(error) from error
        assert self._own is not None
        return self._own

    # spool files

    @property
    def paths(self) -> list[Path]:
        """The spool files that this queue owns."""
        return [one.claimed.path for one in self.files]

    async def _run(self, claimed: ClaimedFile) -> Runner:
        try:
            store = await asyncio.to_thread(self._opener.open, claimed.path)
        except BaseException:
            claimed.release()
            raise
        spool = SpoolAccess(start_writer(store, self._opener.replace))
        runner = Runner(
            spool,
            self.throttle,
            self._disposition,
            self._router,
            self._clock,
            administration=Administration(
                spool.writer, self._quarantine, self._recorder, self._expire
            ),
        )
        runner.start()
        recovery = Recovery(claimed.path, spool.writer, runner.wake)
        recovery.start()
        self.files.append(OpenFile(claimed, runner, recovery))
        return runner

    async def _maintain(self, interval: float) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(interval)
            ticks += 1
            self.tick()
            if ticks % ADOPT == 0:
                try:
                    await self.adopt()
                except Exception as error:  # noqa: BLE001 - deliveries must go on
                    _log_maintenance_failure(self._folder, error)

    def tick(self) -> None:
        """Check all files for due, late and expired messages."""
        for one in self.files:
            one.runner.tick()

    async def adopt(self) -> None:
        """Remove adopted files that are empty, and adopt files without an owner."""
        for one in self.files[1:]:
            await self._remove_if_empty(one)
        found = orphans(self._folder)
        while (claimed := await asyncio.to_thread(next, found, None)) is not None:
            try:
                await self._run(claimed)
            except Exception as error:  # noqa: BLE001 - the other files must go on
                _log_maintenance_failure(claimed.path, error)
            else:
                _log.info("spool file adopted", file=str(claimed.path))

    async def _remove_if_empty(self, one: OpenFile) -> None:
        is_idle = one.runner.is_idle and one.recovery.is_idle
        if is_idle and await one.runner.spool.writer.submit(Store.is_empty):
            self.files.remove(one)
            await one.recovery.stop()
            await one.runner.stop(0)
            one.claimed.remove()

    def _on_damage(self, path: Path) -> None:
        """Recover a damaged file that was replaced; called in any thread."""
        self._loop.call_soon_threadsafe(self._recover, path)

    def _recover(self, path: Path) -> None:
        for one in self.files:
            if one.claimed.path == path:
                one.recovery.check()


def _log_maintenance_failure(path: Path, error: Exception) -> None:
    fields = error_fields(error, (*STORAGE_ERRORS, VersionError))
    _log.error("queue maintenance failed", path=str(path), **fields)
