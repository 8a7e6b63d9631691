"""The tables of an open spool file: everything that is not in the journal only.

Delivered recipients and the index of destinations are written at the end of a transaction
(`flush`), once for all its jobs.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from gatepost.queue.spool.records import AttemptResult, DeliveryJob, Held, NewMessage
from gatepost.queue.spool.sql.destinations import Destinations
from gatepost.queue.spool.sql.insert import RowIds, StoredMessage, insert
from gatepost.queue.spool.sql.outcomes import (
    DeliveredRecipients,
    clean_up,
    elapsed_messages,
    write_undelivered,
)
from gatepost.queue.spool.sql.take import (
    Claims,
    DamagedRowsError,
    due_messages,
    read_due_job,
    read_queued_job,
)


class TakenJobs(msgspec.Struct, frozen=True, eq=False):
    """Jobs, and the messages that could not be read: these are held now, with the reason."""

    jobs: list[DeliveryJob]
    damaged: list[DamagedRowsError]


class Tables:
    """The tables behind a connection.

    `horizon` is the longest time in seconds that an attempt is put off. `suspended_until` returns
    the time before which a destination must not be tried, 0 if it may be tried now.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        horizon: float,
        suspended_until: Callable[[str], float],
    ) -> None:
        self._connection = connection
        self._horizon = horizon
        self._suspended_until = suspended_until
        self._destinations = Destinations(connection)
        self._delivered = DeliveredRecipients()
        self._changed: set[str] = set()

    def put(self, ids: RowIds, new_message: NewMessage) -> StoredMessage:
        """Store a message under these numbers; raises `DeliveryError` or sqlite3.Error."""
        return insert(self._connection, self._destinations, self._suspended_until, ids, new_message)

    def record(self, result: AttemptResult) -> None:
        """Write the new state of a message, without the DSNs; raises sqlite3.Error.

        If all recipients are delivered, the row of the destination may stay too early. That costs
        one check.
        """
        self._delivered.add(result.message, result.delivered)
        if not result.is_delivery_only:
            write_undelivered(self._connection, result)
            self._changed.update(result.destinations)

    def move(self, ids: Sequence[int], old: str, new: str) -> None:
        """Move recipients from one destination to another."""
        self._connection.executemany(
            "UPDATE recipient SET destination = ? WHERE id = ?", [(new, one) for one in ids]
        )
        for name in (old, new):
            self._refresh(name)

    def take(self, now: float, total: int, claims: Claims) -> TakenJobs:
        """Return at most `total` due jobs."""
        horizon = now + self._horizon
        found = due_messages(
            self._connection, self._destinations, claims, now=now, horizon=horizon, total=total
        )
        return self._read(
            partial(read_due_job, self._connection, message, name, now, horizon)
            for name, message in found
        )

    def elapsed(self, now: float, horizon: float, limit: int) -> TakenJobs:
        """Return messages whose `event` is due, with all their queued recipients.

        A time beyond `horizon` comes from a wrong clock, and counts as due.
        """
        messages = elapsed_messages(self._connection, now, horizon, limit)
        return self._read(partial(self._read_or_clean_up, message) for message in messages)

    def _read_or_clean_up(self, message: int) -> DeliveryJob | None:
        job = read_queued_job(self._connection, message)
        if job is None:
            clean_up(self._connection, {message})
        return job

    def _read(self, readings: Iterable[Callable[[], DeliveryJob | None]]) -> TakenJobs:
        jobs, damaged = list[DeliveryJob](), list[DamagedRowsError]()
        for read in readings:
            try:
                job = read()
            except DamagedRowsError as damage:
                damaged.append(damage)
                self._hold(damage)
            else:
                jobs += [] if job is None else [job]
        return TakenJobs(jobs, damaged)

    def _hold(self, damage: DamagedRowsError) -> None:
        held = [Held(one, "", f"damaged: {damage.problem}") for one in damage.ids]
        self.record(AttemptResult(damage.message, damage.destinations, held=held))

    def is_empty(self) -> bool:
        """Return whether there is no message, queued or held."""
        return self._connection.execute("SELECT 1 FROM message LIMIT 1").fetchone() is None

    def flush(self) -> None:
        """Write everything that was collected, before the transaction is committed."""
        self._delivered.delete(self._connection)
        for name in self._changed:
            self._refresh(name)
        self._changed.clear()

    def _refresh(self, name: str) -> None:
        self._destinations.refresh(name, self._suspended_until(name))

    def roll_back(self) -> None:
        """Drop everything that was collected or cached."""
        self._delivered.clear()
        self._changed.clear()
        self._destinations.clear_cache()
