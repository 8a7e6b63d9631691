"""Taking due work out of a spool file, fairly, and without a scan.

What is on its way is remembered by who took it (`Claims`), not in the file: a crash leaves nothing
to clean up. Among destinations with due work the ones that have the least on its way come first,
so that one that is slow, or has ten thousand messages, delays no other.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol
from zlib import crc32

from gatepost.queue.spool import records
from gatepost.queue.spool.content import DamagedError, check, stored_size
from gatepost.queue.spool.database import as_text
from gatepost.queue.spool.destinations import Destinations
from gatepost.queue.spool.records import QueuedRecipient, Work
from gatepost.queue.spool.schema import CHUNK_BITS

# As SQLite gives it; columns may be of any type in a file that is damaged.
Row = tuple[Any, ...]

_DUE = "SELECT message FROM recipient WHERE destination = ? AND due <= ? ORDER BY due"
_WRONG_CLOCK = "SELECT message FROM recipient WHERE destination = ? AND due > ?"


class Claims(Protocol):
    """What is known of what is on its way; asked in the writer's thread."""

    def room(self, destination: str, now: float) -> int:
        """Return how many more messages the destination may have."""
        ...

    def rank(self, destination: str) -> tuple[int, int]:
        """Return what sorts it: how much it has now, and when it had its turn last."""
        ...

    def has(self, message: int, destination: str) -> bool:
        """Whether the message is on its way there."""
        ...

    def reopen(self, destination: str) -> None:
        """Take note that the administrator wants it tried now."""
        ...


class Damage(Exception):  # noqa: N818 - a state of the file, not a mistake
    """A message cannot be read; its recipients are `ids`, at `destinations`."""

    def __init__(self, message: int, rows: Sequence[Row], problem: str) -> None:
        super().__init__(f"message {message}: {problem}")
        self.message = message
        self.ids = [row[0] for row in rows]
        self.destinations = {as_text(row[2]) for row in rows}
        self.problem = problem


def due_messages(
    connection: sqlite3.Connection,
    marks: Destinations,
    claims: Claims,
    *,
    now: float,
    horizon: float,
    total: int,
) -> list[tuple[str, int]]:
    """Return destinations and messages to deliver there now, at most `total`.

    A time beyond `horizon` comes from a clock that was wrong, and counts as due.
    """
    found: dict[str, list[int]] = {}
    for name, due in marks.due(now, horizon):
        if due == 0:
            claims.reopen(name)
        room = claims.room(name, now)
        if room > 0:
            messages = _due_at(connection, name, now, horizon)
            found[name] = _first_free(messages, claims, name, min(room, total))
            if not found[name] and not claims.rank(name)[0]:
                marks.refresh(name, 0.0)
    return _in_turn(found, claims)[:total]


def _due_at(connection: sqlite3.Connection, name: str, now: float, horizon: float) -> Iterator[int]:
    due = connection.execute(_DUE, (name, now))
    wrong = connection.execute(_WRONG_CLOCK, (name, horizon))
    return (message for (message,) in chain(due, wrong))


def _first_free(messages: Iterator[int], claims: Claims, name: str, room: int) -> list[int]:
    found: dict[int, None] = {}
    for message in messages:
        if not claims.has(message, name):
            found[message] = None
            if len(found) == room:
                break
    return list(found)


def _in_turn(found: Mapping[str, list[int]], claims: Claims) -> list[tuple[str, int]]:
    """Deal the work out like cards: to who has least first, then one for each, again and again."""
    ranked = [
        ((claims.rank(name)[0] + at, claims.rank(name)[1]), name, message)
        for name, messages in found.items()
        for at, message in enumerate(messages)
    ]
    ranked.sort(key=lambda one: one[0])
    return [(name, message) for _, name, message in ranked]


def read_work(
    connection: sqlite3.Connection, message: int, destination: str, now: float, horizon: float
) -> Work | None:
    """Return a message for its due recipients at a destination, None if there are none any more.

    Raises `Damage`.
    """
    rows = connection.execute(
        "SELECT id, facts, destination, attempts, reply, reason FROM recipient"
        " WHERE message = ? AND destination = ? AND (due <= ? OR due > ?)",
        (message, destination, now, horizon),
    ).fetchall()
    return read_message(connection, message, rows) if rows else None


def read_message(connection: sqlite3.Connection, message: int, rows: Sequence[Row]) -> Work:
    """Return a message for the recipients of these rows; raises `Damage`."""
    try:
        facts, size, received, expires, event, digest = _envelope(connection, message)
        first = _first_piece(connection, message)
        if len(first) == size:
            check(crc32(first), digest)
        return Work(
            message=message,
            facts=records.decode_message(facts),
            size=size,
            received=float(received),
            expires=float(expires),
            event=event,
            destination=rows[0][2],
            recipients=[_recipient(row) for row in rows],
            first=first,
            digest=digest,
        )
    except (ValueError, TypeError, DamagedError) as error:  # msgspec's are ValueErrors
        raise Damage(message, rows, str(error)) from error


def _envelope(connection: sqlite3.Connection, message: int) -> Row:
    row: Row | None = connection.execute(
        "SELECT facts, size, received, expires, event, digest FROM message WHERE id = ?", (message,)
    ).fetchone()
    if row is None:
        raise ValueError("its envelope is gone")
    if stored_size(connection, message) != row[1]:
        raise ValueError(f"expected {row[1]!r} octets of content")
    return row


def _recipient(row: Row) -> QueuedRecipient:
    number, facts, destination, attempts, reply, reason = row
    known = records.decode_recipient(facts)
    return QueuedRecipient(
        number, known, as_text(destination), int(attempts), as_text(reply), as_text(reason)
    )


def _first_piece(connection: sqlite3.Connection, message: int) -> bytes:
    row = connection.execute(
        "SELECT data FROM content WHERE id = ?", (message << CHUNK_BITS,)
    ).fetchone()
    return b"" if row is None else row[0]
