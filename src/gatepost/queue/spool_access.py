"""A runner's access to its spool file: damaged messages are logged, a full disk is waited out.

If the result of an attempt cannot be written, for example because the disk is full, writing is
retried until it succeeds. The message is not touched in between, otherwise a full disk would
deliver it over and over. While results cannot be written, one delivery starts per tick, so that a
crash repeats few deliveries. Some must start: if a single result does not fit, because it includes
a DSN, other deliveries make room for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from gatepost.disk.group_writer import Done
from gatepost.log.logger import get_logger
from gatepost.queue.spool.records import AttemptResult, DeliveryJob, NewMessage
from gatepost.queue.spool.sql.database import STORAGE_ERRORS
from gatepost.queue.spool.sql.tables import TakenJobs
from gatepost.queue.spool.sql.take import Claims
from gatepost.queue.spool.store import Store
from gatepost.queue.spool.writer import SpoolWriter

# Seconds until the next attempt after an error of the spool.
PAUSE = 5.0

_log = get_logger("gatepost.queue")


class SpoolAccess:
    """The file of `writer`. Methods return the store of a job, as the file may be replaced."""

    def __init__(self, writer: SpoolWriter) -> None:
        self.writer = writer
        self._is_blocked = False
        self._is_absorb_failing = False
        self._permits = 0

    @property
    def file(self) -> str:
        """The path of the file, for the log."""
        return str(self.writer.database.path)

    def limit(self, free: int) -> int:
        """Return the number of deliveries that may start, if `free` slots are free."""
        return min(free, self._permits) if self._is_blocked else free

    def tick(self) -> None:
        """Permit another delivery while results cannot be written."""
        self._permits = 1

    def note_start(self) -> None:
        """Use up the permit of this tick."""
        self._permits = 0

    def post(
        self, new_messages: Sequence[NewMessage], now: float, done: Done, *, at_once: bool
    ) -> None:
        """Store messages; `done` receives the store and their due jobs, or an error."""
        self.writer.start(partial(_post, new_messages, now, at_once), done)

    async def take(self, now: float, total: int, claims: Claims) -> tuple[Store, list[DeliveryJob]]:
        """Return at most `total` due jobs."""
        return await self._read(lambda store: store.take(now, total, claims))

    async def elapsed(
        self, now: float, horizon: float, limit: int
    ) -> tuple[Store, list[DeliveryJob]]:
        """Return messages whose event is due."""
        return await self._read(lambda store: store.elapsed(now, horizon, limit))

    async def _read(self, query: Callable[[Store], TakenJobs]) -> tuple[Store, list[DeliveryJob]]:
        store, taken = await self.writer.submit(lambda store: (store, query(store)))
        for damage in taken.damaged:
            _log.error("damaged message held", file=str(store.path), problem=str(damage))
        return store, taken.jobs

    async def absorb(self) -> bool:
        """Move the rest of the journal to the tables; return whether there was room."""
        try:
            await self.writer.submit(Store.absorb)
        except STORAGE_ERRORS as error:  # a full disk must not stop the jobs of the tables
            if not self._is_absorb_failing:
                _log.error("journal not emptied", file=self.file, error=str(error))
            self._is_absorb_failing = True
        else:
            self._is_absorb_failing = False
        return not self._is_absorb_failing

    def record(
        self, store: Store, result: AttemptResult, done: Callable[[BaseException | None], None]
    ) -> None:
        """Record the result of an attempt; `done` is called when it is committed, or has failed."""
        self.writer.start_later(
            partial(_record, store, result), partial(self._recorded, store, done)
        )

    def _recorded(
        self,
        store: Store,
        done: Callable[[BaseException | None], None],
        _value: None,
        error: BaseException | None,
    ) -> None:
        self._note(store, error)
        done(error)

    async def record_again(self, store: Store, result: AttemptResult) -> None:
        """Record a result that could not be recorded; return when it is committed."""
        recorded = False
        while not recorded:
            await asyncio.sleep(PAUSE)
            recorded = await self.try_record(store, result)

    async def try_record(self, store: Store, result: AttemptResult) -> bool:
        """Record a result; return whether it was possible now."""
        return await self._write(store, partial(_record, store, result))

    async def move(self, store: Store, ids: Sequence[int], old: str, new: str) -> None:
        """Move recipients to another destination; if that fails, the next attempt does it."""
        if not await self._write(store, partial(_move, store, ids, old, new)):
            await asyncio.sleep(PAUSE)

    async def _write(self, store: Store, write: Callable[[Store], None]) -> bool:
        error: BaseException | None = None
        try:
            await self.writer.submit(write)
        except STORAGE_ERRORS as found:
            error = found
        self._note(store, error)
        return error is None

    def _note(self, store: Store, error: BaseException | None) -> None:
        """Note whether a result was written, or else why the disk has refused it."""
        is_blocked = isinstance(error, STORAGE_ERRORS)
        if is_blocked and not self._is_blocked:
            _log.error("delivery status not saved", file=str(store.path), error=str(error))
        self._is_blocked = is_blocked

    async def settle(self) -> None:
        """Wait until all results so far are committed, or have failed."""
        with suppress(*STORAGE_ERRORS):
            await self.writer.submit(_nothing)

    async def close(self) -> None:
        """Close the file; the rest of its journal is absorbed, now or at the next start."""
        with suppress(*STORAGE_ERRORS):
            await self.writer.submit(Store.absorb)
        await self.writer.close()


def _post(
    new_messages: Sequence[NewMessage],
    now: float,
    at_once: bool,  # noqa: FBT001 - of a partial function, for which keywords cost time
    store: Store,
) -> tuple[Store, list[DeliveryJob]]:
    jobs = [job for one in new_messages for job in store.post(one, now, at_once=at_once)]
    return store, jobs


def _nothing(_store: Store) -> None:
    """Change nothing."""


# A store that was replaced is not written to: there, the numbers mean other messages.


def _record(store: Store, result: AttemptResult, current: Store) -> None:
    if current is store:
        store.record(result)


def _move(store: Store, ids: Sequence[int], old: str, new: str, current: Store) -> None:
    if current is store:
        store.move(ids, old, new)
