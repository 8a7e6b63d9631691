"""Putting a message into a spool file."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple
from zlib import crc32

from gatepost.delivery.spool import records
from gatepost.delivery.spool.content import in_chunks, write_content
from gatepost.delivery.spool.marks import Marks
from gatepost.delivery.spool.records import NewRecipient, Parcel, QueuedRecipient, Work
from gatepost.delivery.target import DeliveryError

_MESSAGE = (
    "INSERT INTO message (ref, sender, size, received, expires, event, facts, digest)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECIPIENT = (
    "INSERT INTO recipient (message, address, destination, due, attempts, reply, reason, facts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class Placed(NamedTuple):
    """Where a message is: its number, the rows of its recipients, its first piece, its digest."""

    message: int
    recipients: list[int]
    first: bytes
    digest: int


def put(
    connection: sqlite3.Connection, marks: Marks, parcel: Parcel, opens: Callable[[str], float]
) -> Placed:
    """Store a message and return where it is; raises `DeliveryError` or sqlite3.Error.

    `opens` says before when a destination is not to be looked at.
    """
    chunks = in_chunks(parcel.pieces)
    first = next(chunks, b"")
    digest = crc32(first)
    message = _inserted(connection, _MESSAGE, _envelope(parcel, digest))
    found, digest = write_content(connection, message, first, digest, chunks)
    if found != parcel.size:
        detail = f"spool: expected {parcel.size} octets of message, found {found}"
        raise DeliveryError("The message could not be stored, try again later", detail=detail)
    ids = [_inserted(connection, _RECIPIENT, _row(message, one)) for one in parcel.recipients]
    for name, due in _first_due(parcel.recipients).items():
        marks.lower(name, max(due, opens(name)))
    return Placed(message, ids, first, digest)


def as_work(parcel: Parcel, placed: Placed, now: float) -> list[Work]:
    """Return a message that has just been put as work, one for each destination that is due."""
    due: dict[str, list[QueuedRecipient]] = {}
    for one, number in zip(parcel.recipients, placed.recipients, strict=True):
        if one.due is not None and one.due <= now:
            queued = QueuedRecipient(
                number, one.facts, one.destination, one.attempts, one.reply, one.reason
            )
            due.setdefault(one.destination, []).append(queued)
    return [
        Work(
            message=placed.message,
            facts=parcel.facts,
            size=parcel.size,
            received=parcel.received,
            expires=parcel.expires,
            event=parcel.event,
            destination=name,
            recipients=recipients,
            first=placed.first,
            digest=placed.digest,
        )
        for name, recipients in due.items()
    ]


def _envelope(parcel: Parcel, digest: int) -> tuple[object, ...]:
    facts = parcel.facts
    return (
        facts.id,
        str(facts.reverse_path),
        parcel.size,
        parcel.received,
        parcel.expires,
        parcel.event,
        records.encode(facts).decode(),
        digest,
    )


def _inserted(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> int:
    """Insert a row and return its number."""
    number = connection.execute(statement, values).lastrowid
    assert number is not None
    return number


def _row(message: int, one: NewRecipient) -> tuple[object, ...]:
    return (
        message,
        str(one.facts.address),
        one.destination,
        one.due,
        one.attempts,
        one.reply,
        one.reason,
        records.encode(one.facts).decode(),
    )


def _first_due(recipients: Sequence[NewRecipient]) -> dict[str, float]:
    first: dict[str, float] = {}
    for one in recipients:
        if one.due is not None:
            first[one.destination] = min(one.due, first.get(one.destination, one.due))
    return first
