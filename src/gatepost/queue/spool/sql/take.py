"""Taking due jobs from a spool file: fair between destinations, and without a table scan.

The jobs in progress are in memory (`Claims`), not in the file: after a crash there is nothing to
clean up. Of the destinations with due jobs, the ones with the fewest active deliveries go first. A
slow destination, or one with ten thousand messages, does not delay the others.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol
from zlib import crc32

from gatepost.queue.spool import records
from gatepost.queue.spool.records import DeliveryJob, QueuedRecipient
from gatepost.queue.spool.sql.content import DamagedContentError, check_digest, stored_size
from gatepost.queue.spool.sql.database import as_text
from gatepost.queue.spool.sql.destinations import Destinations
from gatepost.queue.spool.sql.schema import CHUNK_BITS, check_row

# A row as SQLite returns it; in a damaged file columns may have any type.
Row = tuple[Any, ...]

_COLUMNS = (
    "SELECT id, facts, destination, attempts, reply, reason, envelope FROM recipient"
    " WHERE message = ?"
)
_DUE = "SELECT message FROM recipient WHERE destination = ? AND due <= ? ORDER BY due"
_WRONG_CLOCK = "SELECT message FROM recipient WHERE destination = ? AND due > ?"


class Claims(Protocol):
    """The jobs in progress; called in the writing thread."""

    def room(self, destination: str, now: float) -> int:
        """Return the number of deliveries that may start."""
        ...

    def rank(self, destination: str) -> tuple[int, int]:
        """Return the sort key: the active deliveries, then the turn of the last start."""
        ...

    def has(self, message: int, destination: str) -> bool:
        """Return whether the job is in progress."""
        ...

    def reopen(self, destination: str) -> None:
        """End the suspension of a destination, as the administrator asked."""
        ...


class DamagedRowsError(Exception):
    """The rows of a message are damaged; its recipients are `ids`, at `destinations`."""

    def __init__(self, message: int, rows: Sequence[Row], problem: str) -> None:
        super().__init__(f"message {message}: {problem}")
        self.message = message
        self.ids = [row[0] for row in rows]
        self.destinations = {as_text(row[2]) for row in rows}
        self.problem = problem


def due_messages(
    connection: sqlite3.Connection,
    destinations: Destinations,
    claims: Claims,
    *,
    now: float,
    horizon: float,
    total: int,
) -> list[tuple[str, int]]:
    """Return at most `total` pairs of a destination and a message that is due there.

    A time beyond `horizon` comes from a wrong clock, and counts as due.
    """
    found: dict[str, list[int]] = {}
    for name, due in destinations.due(now, horizon):
        if due == 0:
            claims.reopen(name)
        room = claims.room(name, now)
        if room > 0:
            messages = _due_at(connection, name, now, horizon)
            found[name] = _first_unclaimed(messages, claims, name, min(room, total))
            if not found[name] and not claims.rank(name)[0]:
                destinations.refresh(name, 0.0)
    return _in_turn(found, claims)[:total]


def _due_at(connection: sqlite3.Connection, name: str, now: float, horizon: float) -> Iterator[int]:
    due = connection.execute(_DUE, (name, now))
    wrong = connection.execute(_WRONG_CLOCK, (name, horizon))
    return (message for (message,) in chain(due, wrong))


def _first_unclaimed(messages: Iterator[int], claims: Claims, name: str, room: int) -> list[int]:
    found: dict[int, None] = {}
    for message in messages:
        if not claims.has(message, name):
            found[message] = None
            if len(found) == room:
                break
    return list(found)


def _in_turn(found: Mapping[str, list[int]], claims: Claims) -> list[tuple[str, int]]:
    """Sort by the number of active deliveries, each job counted as if the former had started."""
    ranked = [
        ((claims.rank(name)[0] + at, claims.rank(name)[1]), name, message)
        for name, messages in found.items()
        for at, message in enumerate(messages)
    ]
    ranked.sort(key=lambda one: one[0])
    return [(name, message) for _, name, message in ranked]


def read_due_job(
    connection: sqlite3.Connection, message: int, destination: str, now: float, horizon: float
) -> DeliveryJob | None:
    """Return the job of a message at a destination, None if no recipient is due there.

    Raises `DamagedRowsError`.
    """
    rows = connection.execute(
        f"{_COLUMNS} AND destination = ? AND (due <= ? OR due > ?)",
        (message, destination, now, horizon),
    ).fetchall()
    return _read_job(connection, message, rows) if rows else None


def read_queued_job(connection: sqlite3.Connection, message: int) -> DeliveryJob | None:
    """Return a message with all its queued recipients, None if there is none.

    Raises `DamagedRowsError`.
    """
    rows = connection.execute(f"{_COLUMNS} AND due IS NOT NULL", (message,)).fetchall()
    return _read_job(connection, message, rows) if rows else None


def _read_job(connection: sqlite3.Connection, message: int, rows: Sequence[Row]) -> DeliveryJob:
    try:
        facts, size, received, expires, event, digest, envelope = _envelope(connection, message)
        first = _first_piece(connection, message)
        if len(first) == size:
            check_digest(crc32(first), digest)
        job = DeliveryJob(
            message=message,
            facts=records.decode_message(facts),
            size=size,
            received=float(received),
            expires=float(expires),
            event=event,
            destination=rows[0][2],
            recipients=[_recipient(message, row) for row in rows],
            first=first,
            digest=digest,
        )
        check_row(envelope, message, facts, size)
    except (
        ValueError,
        TypeError,
        DamagedContentError,
    ) as error:  # those of msgspec are ValueErrors
        raise DamagedRowsError(message, rows, str(error)) from error
    return job


def _envelope(connection: sqlite3.Connection, message: int) -> Row:
    row: Row | None = connection.execute(
        "SELECT facts, size, received, expires, event, digest, envelope FROM message WHERE id = ?",
        (message,),
    ).fetchone()
    if row is None:
        raise ValueError("envelope missing")
    if stored_size(connection, message) != row[1]:
        raise ValueError(f"expected {row[1]!r} octets of content")
    return row


def _recipient(message: int, row: Row) -> QueuedRecipient:
    number, facts, destination, attempts, reply, reason, envelope = row
    recipient = QueuedRecipient(
        number,
        records.decode_recipient(facts),
        as_text(destination),
        int(attempts),
        as_text(reply),
        as_text(reason),
    )
    check_row(envelope, number, message, facts)
    return recipient


def _first_piece(connection: sqlite3.Connection, message: int) -> bytes:
    row = connection.execute(
        "SELECT data FROM content WHERE id = ?", (message << CHUNK_BITS,)
    ).fetchone()
    return b"" if row is None else row[0]
