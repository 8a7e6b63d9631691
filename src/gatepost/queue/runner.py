"""Runs one spool file: takes due work, has it delivered, writes down what came of it.

Theory of operation
-------------------
`wake` asks for a turn: after a put, after a delivery, and once a second for what has become due and
what an administrator has changed. A turn takes as much work as the gate has room for and starts a
task for each. It finds what is in the tables: what has just been put is in the journal, and is
offered to start without them; once a second, and as soon as some of it could not be started, what
is left of it goes to the tables.

Work is in `_busy` from its start until its settlement is committed, and so cannot be taken twice.
If the settlement cannot be written – the disk is full – that is tried again until it can, and
nothing else is done about the message meanwhile. Nor is much done about others: one delivery begins
with each tick, until something has been written down again. So few messages come twice if the
machine fails then; and where it was only one settlement that had no room – it has a notice in it –
the others make some.

A cancelled delivery settles nothing: nobody knows what the target has, so it comes again.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.plugin.clock import Clock
from gatepost.queue.delivery_attempt import Outcome, attempt
from gatepost.queue.disposition import Disposition
from gatepost.queue.ready import Ready, ReadyQueue
from gatepost.queue.spool.records import AttemptResult, NewMessage, Work
from gatepost.queue.spool.store import Store, Taken
from gatepost.queue.spool.writer import Writer
from gatepost.queue.throttle import DestinationThrottle

_log = structlog.get_logger("gatepost.queue")

# Messages whose time has come that are looked at in one turn.
EVENTS = 100
# After an error of the spool's own nothing is tried for so long, in seconds.
PAUSE = 5.0
# What a disk that is full or has failed looks like: the error says it all.
DISK = (OSError, sqlite3.Error)


class Runner:
    """Delivers what is in the file of `writer`."""

    def __init__(
        self,
        writer: Writer,
        gate: DestinationThrottle,
        disposition: Disposition,
        router: Router,
        clock: Clock,
    ) -> None:
        self.writer = writer
        self._gate = gate
        self._disposition = disposition
        self._router = router
        self._clock = clock
        self._busy: set[tuple[int, str]] = set()
        self._offers = ReadyQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()
        self._ticked = True
        self._waiting = True
        self._is_blocked = False
        self._probes = 0
        self._unseen = self._is_stuck = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take work."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="queue runner")
        self.wake()

    def wake(self) -> None:
        """Have it look for work soon."""
        self._wanted.set()

    def tick(self) -> None:
        """Have it look for work, and for what time has decided; to be called once a second."""
        self._ticked = True
        self._probes = 1
        self.wake()

    async def stop(self, patience: float) -> None:
        """Take no more, wait `patience` seconds for deliveries to end, and close the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(*DISK):  # then it is found in the journal at the next start
            await self.writer.submit(Store.absorb)
        await self.writer.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._busy

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.turn()
            except DISK as error:
                _log.error("queue failed", file=str(self.writer.store.path), error=str(error))
                await asyncio.sleep(PAUSE)
            except Exception:  # noqa: BLE001 - the queue must outlive its own faults
                _log.exception("queue failed", file=str(self.writer.store.path))
                await asyncio.sleep(PAUSE)

    async def turn(self) -> None:
        """Start what is due and has room, and once a second end what is too old."""
        if self._ticked or self._unseen:
            await self._absorb()
        now = self._clock.time()
        total = self._free
        self._waiting = total <= 0
        if total > 0:
            store, taken = await self._writer_does(lambda store: store.take(now, total, self))
            self._waiting = self._waiting or bool(taken.works)
            for work in taken.works:
                self._start(work, store, now)
        if self._ticked:
            self._ticked = False
            await self._look_at_the_time(now)

    async def _absorb(self) -> None:
        """Have all in the tables; then nothing need wait in memory for longer than a tick."""
        self._unseen = False
        try:
            await self.writer.submit(Store.absorb)
        except DISK as error:  # a full disk: what the tables have is to go on
            if not self._is_stuck:
                _log.error(
                    "journal not emptied", file=str(self.writer.store.path), error=str(error)
                )
            self._is_stuck = True
        else:
            self._is_stuck = False
            if self._ticked:
                self._find_again(self._offers.drop_all())

    def takes_at_once(self, new_messages: Sequence[NewMessage], now: float) -> bool:
        """Whether `offer` will start all of this at once, or after a moment."""
        return not self._offers.is_full and all(
            one.due is not None and one.due <= now and self._gate.opens(one.destination) <= now
            for new_message in new_messages
            for one in new_message.recipients
        )

    def offer(self, store: Store, works: Sequence[Work]) -> None:
        """Start what has just been put, as soon as there is room; or find it in a turn."""
        now = self._clock.time()
        for work in works:
            if self._start(work, store, now):
                continue
            may_wait = now >= self._gate.opens(work.destination)
            if may_wait and self._offers.add(Ready(work, store)):
                self._busy.add((work.message, work.destination))
            else:
                self._unseen = True
                self._look_again()

    def _start_offered(self) -> None:
        now = self._clock.time()
        for work, store in self._offers.take(lambda name: self._has_room(name, now)):
            self._busy.discard((work.message, work.destination))
            self._start(work, store, now)

    @property
    def _free(self) -> int:
        """How many deliveries may begin now."""
        return min(self._gate.free, self._probes) if self._is_blocked else self._gate.free

    def _has_room(self, destination: str, now: float) -> bool:
        return self._free > 0 and self._gate.room(destination, now) > 0

    def _find_again(self, dropped: Iterable[Ready]) -> None:
        """Leave what waits no longer to turns."""
        for work, _ in dropped:
            self._busy.discard((work.message, work.destination))
            self._look_again()

    def _look_again(self) -> None:
        """Look for work soon, as there is some."""
        self._waiting = True
        self.wake()

    async def _writer_does(self, question: Callable[[Store], Taken]) -> tuple[Store, Taken]:
        """Return which store has answered, and what; what it could not read is logged."""
        store, taken = await self.writer.submit(lambda store: (store, question(store)))
        for damage in taken.damaged:
            _log.error("message damaged, held", file=str(store.path), problem=str(damage))
        return store, taken

    def _start(self, work: Work, store: Store, now: float) -> bool:
        """Begin to deliver; return whether there was room, or no need."""
        key = work.message, work.destination
        if key in self._busy:
            return True  # offered, and taken meanwhile
        if not self._has_room(work.destination, now):
            return False
        self._busy.add(key)
        self._probes = 0
        self._gate.enter(work.destination)
        task = asyncio.get_running_loop().create_task(self._deliver(work, store))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _deliver(self, work: Work, store: Store) -> None:
        try:
            settlement = await self._attempt(work, store)
            if settlement is not None:
                await self._settle(store, settlement)
            if settlement is None or settlement.new_messages:
                self._waiting = True
        except Exception:  # noqa: BLE001 - what is not written down comes again
            _log.exception("attempt failed", ref=work.facts.id)
            await asyncio.sleep(PAUSE)
            self._waiting = True
        finally:
            self._busy.discard((work.message, work.destination))
            if self._waiting:
                self.wake()

    async def _attempt(self, work: Work, store: Store) -> AttemptResult | None:
        """Have a message delivered; return what came of it, None if it goes elsewhere now.

        Others have its place from then on, before anything is written down.
        """
        try:
            if await self._moved(work, store):
                return None
            return self._judge(work, await attempt(work, self._router, store.reader))
        finally:
            self._gate.leave(work.destination)
            self._start_offered()
            if self._waiting:
                self.wake()

    async def _moved(self, work: Work, store: Store) -> bool:
        """Put recipients where the routes send them now; return whether any has moved."""
        moves: dict[str, list[int]] = {}
        for one in work.recipients:
            name = self._disposition.destination(one.recipient())
            if name not in {"", work.destination}:
                moves.setdefault(name, []).append(one.id)
        for name, ids in moves.items():
            move = partial(Store.move, ids=ids, old=work.destination, new=name)
            if not await self._is_written(store, move):
                await asyncio.sleep(PAUSE)
        return bool(moves)

    def _judge(self, work: Work, outcome: Outcome) -> AttemptResult:
        now, failures = self._clock.time(), outcome.failures
        if len(failures) == len(work.recipients) and all(map(_unanswered, failures.values())):
            self._gate.failed(work.destination, now)
            if self._gate.opens(work.destination) > now:
                self._unseen = True
                self._find_again(self._offers.drop(work.destination))
        else:
            self._gate.answered(work.destination)
        return self._disposition.judge(work, outcome, now)

    async def _settle(self, store: Store, settlement: AttemptResult) -> None:
        """Write down what came of a delivery.

        Tries again until it is written: else a full disk would have mail delivered over and over.
        """
        job = partial(Store.settle, settlement=settlement)
        while not await self._is_written(store, job):  # noqa: ASYNC110 - a disk tells nobody
            await asyncio.sleep(PAUSE)

    async def _is_written(self, store: Store, job: Callable[[Store], None]) -> bool:
        """Do a job in the store it is about; in one that has replaced it numbers mean others.

        Return whether it could be written down.
        """
        try:
            await self.writer.submit_later(lambda current: job(store) if current is store else None)
        except DISK as error:
            if not self._is_blocked:
                _log.error("not settled", file=str(store.path), error=str(error))
            self._is_blocked = True
        else:
            self._is_blocked = False
            return True
        return False

    async def _look_at_the_time(self, now: float) -> None:
        on_their_way = {message for message, _ in self._busy}
        limit = EVENTS + len(on_their_way)
        horizon = now + self._disposition.horizon
        store, taken = await self._writer_does(lambda store: store.elapsed(now, horizon, limit))
        for work in taken.works:
            if work.message not in on_their_way:
                late = partial(Store.settle, settlement=self._disposition.late(work, now))
                if not await self._is_written(store, late):
                    return  # it is found again with the next tick
        if taken.works:
            self.wake()

    # what the store asks while it takes work (`take.Claims`)

    def room(self, destination: str, now: float) -> int:
        """Return how many more messages the destination may have."""
        room = self._gate.room(destination, now)
        if room <= 0:
            self._waiting = True
        return room

    def rank(self, destination: str) -> tuple[int, int]:
        """Return what sorts it: how much it has now, and when it had its turn last."""
        return self._gate.rank(destination)

    def has(self, message: int, destination: str) -> bool:
        """Whether the message is on its way there."""
        return (message, destination) in self._busy

    def reopen(self, destination: str) -> None:
        """Have a destination tried now, whatever has been: the administrator wants it."""
        self._gate.answered(destination)


def told(error: Exception, expected: tuple[type[Exception], ...] = DISK) -> dict[str, Any]:
    """Return what the log is told of an error: a traceback only if it is none of the expected."""
    return {"error": str(error)} if isinstance(error, expected) else {"exc_info": error}


def _unanswered(error: DeliveryError) -> bool:
    """Whether a failure says that nobody is there."""
    return not (error.permanent or error.answered)
