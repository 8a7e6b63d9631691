"""Runs one spool file: starts due jobs, attempts them, records the results.

Theory of operation
-------------------
New messages are stored and offered (`post`). A job starts immediately if its destination has room.
Otherwise it waits in memory (`ready`), or is found again in the tables by a turn.

`wake` requests a turn: after a delivery if more jobs may be due, and once a second for jobs that
have become due and for changes of the administrator. A turn takes as many jobs from the tables as
there is room for. Messages that are in the journal only are not found there. So the journal is
absorbed once a second, and as soon as one of its jobs could not be started.

A job is claimed (`active`) from its start until its result is committed, and cannot start twice. A
cancelled delivery records nothing: its outcome is unknown, so it is tried again.

An attempt runs in place and becomes a task only if its target has to wait (`gatepost.net.inline`).
Neither the client that waits for 250 nor an attempt in place costs a task for its commit: the
writing thread reports all results of a commit at once.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from gatepost.delivery.target import DeliveryError
from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.net.inline import UNFINISHED, finish, first_step, need_task
from gatepost.plugin.clock import Clock
from gatepost.queue.active import ActiveJobs
from gatepost.queue.administration import Administration
from gatepost.queue.delivery_attempt import AttemptOutcome, attempt
from gatepost.queue.disposition import Disposition
from gatepost.queue.ready import Ready, ReadyQueue
from gatepost.queue.routing import QueueRouter, Routed, destination_of
from gatepost.queue.spool.records import AttemptResult, DeliveryJob, NewMessage
from gatepost.queue.spool.sql.database import (
    STORAGE_ERRORS,
    as_delivery_error,
    error_fields,
)
from gatepost.queue.spool.store import Store
from gatepost.queue.spool_access import SpoolAccess
from gatepost.queue.throttle import DestinationThrottle

_log = get_logger("gatepost.queue")

# Messages whose event is due that are handled in one turn.
EVENTS = 100
# Seconds until the next turn after an error.
PAUSE = 5.0


class Runner:
    """Delivers the messages of the spool file behind `spool`."""

    def __init__(
        self,
        spool: SpoolAccess,
        throttle: DestinationThrottle,
        disposition: Disposition,
        router: QueueRouter,
        clock: Clock,
        *,
        administration: Administration,
    ) -> None:
        self.spool = spool
        self._administration = administration
        self._throttle = throttle
        self._disposition = disposition
        self._router = router
        self._clock = clock
        self._active = ActiveJobs(throttle)
        self._ready = ReadyQueue()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._turn_requested = asyncio.Event()
        self._is_ticked = True
        self._is_absorb_due = False
        self._is_starting = self._is_closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to take jobs."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="queue runner")
        self.wake()

    def wake(self) -> None:
        """Request a turn."""
        self._turn_requested.set()

    def tick(self) -> None:
        """Request a turn that also handles expired and late messages; call this once a second."""
        self._is_ticked = True
        self.spool.tick()
        self.wake()

    @property
    def has_turn_pending(self) -> bool:
        """Return whether a turn was requested and has not begun."""
        return self._turn_requested.is_set()

    @property
    def is_idle(self) -> bool:
        """Return whether no job is in progress."""
        return self._active.is_empty

    async def stop(self, patience: float) -> None:
        """Start no more jobs, wait `patience` seconds for active deliveries, close the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.spool.settle()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=patience)
        self._is_closing = True
        for task in self._deliveries:
            task.cancel()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        await self.spool.close()

    # new messages

    def post(self, new_messages: Sequence[NewMessage], now: float) -> asyncio.Future[None]:
        """Store messages and start their due jobs; the future raises `DeliveryError`.

        It is done when the messages are durable. They are delivered even if it is cancelled.
        """
        posted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        at_once = self._can_start_all(new_messages, now)
        self.spool.post(new_messages, now, partial(self._posted, posted), at_once=at_once)
        return posted

    def _posted(
        self,
        posted: asyncio.Future[None],
        stored: tuple[Store, list[DeliveryJob]] | None,
        error: BaseException | None,
    ) -> None:
        if stored is None:
            assert error is not None
            if not posted.done():
                posted.set_exception(as_delivery_error(error))
            return
        if not posted.done():
            posted.set_result(None)
        store, jobs = stored
        now = self._clock.time()
        for job in jobs:
            self._offer(job, store, now)

    def _can_start_all(self, new_messages: Sequence[NewMessage], now: float) -> bool:
        """Return whether all jobs will start now, or after a moment in memory."""
        return not self._ready.is_full and all(
            one.due is not None
            and one.due <= now
            and self._throttle.suspended_until(one.destination) <= now
            for new_message in new_messages
            for one in new_message.recipients
        )

    def _offer(self, job: DeliveryJob, store: Store, now: float) -> None:
        if self._start(job, store, now):
            return
        is_suspended = now < self._throttle.suspended_until(job.destination)
        if not is_suspended and self._ready.add(Ready(job, store)):
            self._active.claim(job)
        else:
            self._is_absorb_due = True
            self._look_for_more()

    # turns

    async def _run(self) -> None:
        while True:
            await self._turn_requested.wait()
            self._turn_requested.clear()
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - the queue must survive its own faults
                _log.error("queue failed", file=self.spool.file, **error_fields(error))
                await asyncio.sleep(PAUSE)

    async def _turn(self) -> None:
        """Start due jobs while there is room, and once a second handle expired messages."""
        if self._is_ticked or self._is_absorb_due:
            await self._absorb()
        now = self._clock.time()
        if self._is_ticked and await self._administration.visit(now):
            self._look_for_more()
        await self._start_due(now)
        if self._is_ticked:
            self._is_ticked = False
            await self._handle_elapsed(now)

    async def _absorb(self) -> None:
        """Move the journal to the tables; at a tick, jobs in memory are left to the tables."""
        self._is_absorb_due = False
        if await self.spool.absorb() and self._is_ticked:
            self._leave_to_turns(self._ready.drop_all())

    async def _start_due(self, now: float) -> None:
        total = self._free
        self._active.may_have_more = total <= 0
        if total > 0:
            store, jobs = await self.spool.take(now, total, self._active)
            if jobs:
                self._active.may_have_more = True
            for job in jobs:
                self._start(job, store, now)

    async def _handle_elapsed(self, now: float) -> None:
        """Record the messages that are late or have expired; the next tick finds the rest."""
        active = self._active.messages
        horizon = now + self._disposition.horizon
        store, jobs = await self.spool.elapsed(now, horizon, EVENTS + len(active))
        for job in jobs:
            if job.message not in active:
                result = self._disposition.after_time(job, now)
                if not await self.spool.try_record(store, result):
                    return
        if jobs:
            self.wake()

    @property
    def _free(self) -> int:
        """The number of deliveries that may start."""
        return self.spool.limit(self._throttle.free)

    def _has_room(self, destination: str, now: float) -> bool:
        return self._free > 0 and self._throttle.room(destination, now) > 0

    def _leave_to_turns(self, dropped: Iterable[Ready]) -> None:
        for job, _ in dropped:
            self._active.release(job)
            self._look_for_more()

    def _look_for_more(self) -> None:
        self._active.may_have_more = True
        self.wake()

    def _wake_if_more(self) -> None:
        if self._active.may_have_more:
            self.wake()

    # deliveries

    def _start(self, job: DeliveryJob, store: Store, now: float) -> bool:
        """Start a job; return False if there is no room. A claimed job needs no start."""
        if self._active.has(job.message, job.destination):
            return True
        if not self._has_room(job.destination, now):
            return False
        self._active.claim(job)
        self.spool.note_start()
        self._throttle.enter(job.destination)
        self._run_in_place(job, self._deliver(job, store))
        return True

    def _run_in_place(self, job: DeliveryJob, delivery: Coroutine[Any, Any, None]) -> None:
        """Run a delivery; if it has to wait, a task goes on with it."""
        try:
            if first_step(delivery) is UNFINISHED:
                self._run_task(finish(delivery))
        except asyncio.CancelledError:  # by its target, which must not end the caller
            problem = "cancelled by its target"
            _log.error("delivery attempt failed", ref=job.facts.id, exception=problem)

    def _run_task(self, delivery: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(delivery)
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    def _start_ready(self) -> None:
        """Start jobs that wait in memory; those that end in place make room for others here."""
        if self._is_starting or self._ready.is_empty:
            return
        self._is_starting = True
        now = self._clock.time()
        try:
            for job, store in self._ready.take(lambda name: self._has_room(name, now)):
                self._active.release(job)
                self._start(job, store, now)
        finally:
            self._is_starting = False

    async def _deliver(self, job: DeliveryJob, store: Store) -> None:
        """Attempt a job and record the result; without a result the job is tried again."""
        recording = False
        try:
            result = await self._attempt(job, store)
            if result is None:
                self._active.may_have_more = True
            else:
                self.spool.record(store, result, partial(self._recorded, job, store, result))
                recording = True
        except Exception as error:  # noqa: BLE001 - a job without a recorded result is tried again
            await need_task()
            await self._pause(job, error)
        finally:
            if not recording:
                self._end(job)

    def _recorded(
        self, job: DeliveryJob, store: Store, result: AttemptResult, error: BaseException | None
    ) -> None:
        """Give up the claim on a job whose result is committed; otherwise record it again."""
        if error is not None and not self._is_closing:
            self._run_task(self._record_again(job, store, result, error))
            return
        if result.new_messages:
            self._active.may_have_more = True
        self._end(job)

    async def _record_again(
        self, job: DeliveryJob, store: Store, result: AttemptResult, error: BaseException
    ) -> None:
        try:
            if isinstance(error, STORAGE_ERRORS):
                await self.spool.record_again(store, result)
                self._active.may_have_more = True
            else:
                await self._pause(job, error)
        finally:
            self._end(job)

    async def _pause(self, job: DeliveryJob, error: BaseException) -> None:
        """Log a fault of this program, and delay the next attempt."""
        trace = format_traceback(error)
        _log.error("delivery attempt failed", ref=job.facts.id, exception=trace)
        await asyncio.sleep(PAUSE)
        self._active.may_have_more = True

    def _end(self, job: DeliveryJob) -> None:
        self._active.release(job)
        self._wake_if_more()

    async def _attempt(self, job: DeliveryJob, store: Store) -> AttemptResult | None:
        """Attempt a job; return its result, None if recipients moved to another destination.

        The slot of the job is free when this returns, before the result is recorded.
        """
        try:
            routed = self._router.routed(job)
            if await self._reroute(job, routed, store):
                return None
            return self._decide(job, await attempt(job, routed, store.reader))
        finally:
            self._throttle.leave(job.destination)
            self._start_ready()
            self._wake_if_more()

    async def _reroute(self, job: DeliveryJob, routed: Routed, store: Store) -> bool:
        """Move recipients to the destinations of their current routes; return whether any moved."""
        moves: dict[str, list[int]] = {}
        for one, found in routed.items():
            name = destination_of(found.route, one)
            if name and name != job.destination:
                moves.setdefault(name, []).append(found.queued.id)
        for name, ids in moves.items():
            await need_task()
            await self.spool.move(store, ids, job.destination, name)
        return bool(moves)

    def _decide(self, job: DeliveryJob, outcome: AttemptOutcome) -> AttemptResult:
        now = self._clock.time()
        self._update_throttle(job, outcome, now)
        return self._disposition.after_attempt(job, outcome, now)

    def _update_throttle(self, job: DeliveryJob, outcome: AttemptOutcome, now: float) -> None:
        failures = outcome.failures.values()
        if len(failures) < len(job.recipients) or not all(map(_is_unanswered, failures)):
            self._throttle.answered(job.destination)
            return
        self._throttle.failed(job.destination, now)
        if self._throttle.suspended_until(job.destination) > now:
            self._is_absorb_due = True
            self._leave_to_turns(self._ready.drop(job.destination))


def _is_unanswered(error: DeliveryError) -> bool:
    """Return whether the destination did not answer at all."""
    return not (error.permanent or error.answered)
