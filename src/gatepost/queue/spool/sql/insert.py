"""Inserting messages into the tables of a spool file."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import NamedTuple
from zlib import crc32

from gatepost.delivery.target import DeliveryError
from gatepost.queue.spool import records
from gatepost.queue.spool.records import DeliveryJob, NewMessage, NewRecipient, QueuedRecipient
from gatepost.queue.spool.sql.content import in_chunks, write_content
from gatepost.queue.spool.sql.destinations import Destinations
from gatepost.queue.spool.sql.schema import row_digest

_MESSAGE = (
    "INSERT INTO message (id, ref, sender, size, received, expires, event, facts, digest,"
    " envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECIPIENT = (
    "INSERT INTO recipient (id, message, address, destination, due, attempts, reply, reason, facts,"
    " envelope, holder, held) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_LAST = (
    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'"
    " UNION ALL SELECT coalesce(max(id), 0) FROM recipient"
)


class RowIds(NamedTuple):
    """The numbers of a message and of its recipients."""

    message: int
    recipients: list[int]


class StoredMessage(NamedTuple):
    """A message that has just been stored: its numbers, first piece, and digest.

    The digest is None if the first piece is the whole message and comes from memory.
    """

    ids: RowIds
    first: bytes
    digest: int | None


class RowCounter:
    """Assigns numbers to new messages and recipients, above all numbers in the tables.

    `used` are the highest numbers that are used elsewhere.
    """

    def __init__(self, connection: sqlite3.Connection, used: tuple[int, int]) -> None:
        found = (last for (last,) in connection.execute(_LAST))
        message, recipient = (max(pair) for pair in zip(found, used, strict=True))
        self._messages, self._recipients = count(message + 1), count(recipient + 1)

    def assign(self, new_message: NewMessage) -> RowIds:
        """Return numbers for a message and its recipients."""
        rows = list(islice(self._recipients, len(new_message.recipients)))
        return RowIds(next(self._messages), rows)


def insert(
    connection: sqlite3.Connection,
    destinations: Destinations,
    suspended_until: Callable[[str], float],
    ids: RowIds,
    new_message: NewMessage,
) -> StoredMessage:
    """Store a message under these numbers; raises `DeliveryError` or sqlite3.Error."""
    chunks = in_chunks(new_message.pieces)
    first = next(chunks, b"")
    digest = crc32(first)
    connection.execute(_MESSAGE, _envelope(ids.message, new_message, digest))
    size, digest = write_content(connection, ids.message, first, digest, chunks)
    check_size(new_message, size)
    rows = zip(ids.recipients, new_message.recipients, strict=True)
    connection.executemany(_RECIPIENT, [_row(row, ids.message, one) for row, one in rows])
    for name, due in _first_due(new_message.recipients).items():
        destinations.check_by(name, max(due, suspended_until(name)))
    return StoredMessage(ids, first, digest)


def check_size(new_message: NewMessage, found: int) -> None:
    """Raise `DeliveryError` unless the content is complete."""
    if found != new_message.size:
        detail = f"spool: expected {new_message.size} octets of message, found {found}"
        raise DeliveryError("The message could not be stored, try again later", detail=detail)


def as_jobs(new_message: NewMessage, stored: StoredMessage, now: float) -> list[DeliveryJob]:
    """Return the jobs of a message that has just been stored, one per due destination."""
    due: dict[str, list[QueuedRecipient]] = {}
    for one, number in zip(new_message.recipients, stored.ids.recipients, strict=True):
        if one.due is not None and one.due <= now:
            queued = QueuedRecipient(
                number, one.facts, one.destination, one.attempts, one.reply, one.reason
            )
            due.setdefault(one.destination, []).append(queued)
    return [
        DeliveryJob(
            message=stored.ids.message,
            facts=new_message.facts,
            size=new_message.size,
            received=new_message.received,
            expires=new_message.expires,
            event=new_message.event,
            destination=name,
            recipients=recipients,
            first=stored.first,
            digest=stored.digest,
        )
        for name, recipients in due.items()
    ]


def _envelope(message: int, new_message: NewMessage, digest: int) -> tuple[object, ...]:
    facts = records.encode(new_message.facts).decode()
    return (
        message,
        new_message.facts.id,
        str(new_message.facts.reverse_path),
        new_message.size,
        new_message.received,
        new_message.expires,
        new_message.event,
        facts,
        digest,
        row_digest(message, facts, new_message.size),
    )


def _row(row: int, message: int, one: NewRecipient) -> tuple[object, ...]:
    facts = records.encode(one.facts).decode()
    return (
        row,
        message,
        str(one.facts.address),
        one.destination,
        one.due,
        one.attempts,
        one.reply,
        one.reason,
        facts,
        row_digest(row, message, facts),
        one.holder,
        one.held,
    )


def _first_due(recipients: Sequence[NewRecipient]) -> dict[str, float]:
    first: dict[str, float] = {}
    for one in recipients:
        if one.due is not None:
            first[one.destination] = min(one.due, first.get(one.destination, one.due))
    return first
