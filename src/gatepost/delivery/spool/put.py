"""Putting a message into a spool file."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import NamedTuple
from zlib import crc32

from gatepost.delivery.spool import records
from gatepost.delivery.spool.content import in_chunks, write_content
from gatepost.delivery.spool.marks import Marks
from gatepost.delivery.spool.records import NewRecipient, Parcel, QueuedRecipient, Work
from gatepost.delivery.target import DeliveryError

_MESSAGE = (
    "INSERT INTO message (id, ref, sender, size, received, expires, event, facts, digest)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECIPIENT = (
    "INSERT INTO recipient (id, message, address, destination, due, attempts, reply, reason, facts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_LAST = (
    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'"
    " UNION ALL SELECT coalesce(max(id), 0) FROM recipient"
)


class Place(NamedTuple):
    """Where a message is: its number, and those of its recipients."""

    message: int
    recipients: list[int]


class Placed(NamedTuple):
    """A message that has been put somewhere: its first piece, and the digest of all of them.

    None says that nobody has to look: the first piece is all there is, and as it came.
    """

    place: Place
    first: bytes
    digest: int | None


class Numbers:
    """The numbers of messages and recipients that come; no message has one that was in a table.

    `taken` are numbers that are taken beside: up to these.
    """

    def __init__(self, connection: sqlite3.Connection, taken: tuple[int, int]) -> None:
        found = (last for (last,) in connection.execute(_LAST))
        message, recipient = (max(pair) for pair in zip(found, taken, strict=True))
        self._messages, self._recipients = count(message + 1), count(recipient + 1)

    def place(self, parcel: Parcel) -> Place:
        """Return a place for a message."""
        rows = list(islice(self._recipients, len(parcel.recipients)))
        return Place(next(self._messages), rows)


class Tables:
    """The tables that messages are put into.

    `opens` says of a destination before when it is not to be looked at.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        marks: Marks,
        numbers: Numbers,
        opens: Callable[[str], float],
    ) -> None:
        self._connection = connection
        self._marks = marks
        self._opens = opens
        self.numbers = numbers

    def put(self, parcel: Parcel) -> Placed:
        """Store a message and return where it is; raises `DeliveryError` or sqlite3.Error."""
        return self.put_at(self.numbers.place(parcel), parcel)

    def put_at(self, place: Place, parcel: Parcel) -> Placed:
        """Store a message in its place; raises as `put`."""
        chunks = in_chunks(parcel.pieces)
        first = next(chunks, b"")
        digest = crc32(first)
        self._connection.execute(_MESSAGE, _envelope(place.message, parcel, digest))
        size, digest = write_content(self._connection, place.message, first, digest, chunks)
        check_size(parcel, size)
        rows = zip(place.recipients, parcel.recipients, strict=True)
        self._connection.executemany(
            _RECIPIENT, [_row(row, place.message, one) for row, one in rows]
        )
        for name, due in _first_due(parcel.recipients).items():
            self._marks.lower(name, max(due, self._opens(name)))
        return Placed(place, first, digest)


def check_size(parcel: Parcel, found: int) -> None:
    """Raise `DeliveryError` unless all of a message was found."""
    if found != parcel.size:
        detail = f"spool: expected {parcel.size} octets of message, found {found}"
        raise DeliveryError("The message could not be stored, try again later", detail=detail)


def as_work(parcel: Parcel, placed: Placed, now: float) -> list[Work]:
    """Return a message that has just been put as work, one for each destination that is due."""
    due: dict[str, list[QueuedRecipient]] = {}
    for one, number in zip(parcel.recipients, placed.place.recipients, strict=True):
        if one.due is not None and one.due <= now:
            queued = QueuedRecipient(
                number, one.facts, one.destination, one.attempts, one.reply, one.reason
            )
            due.setdefault(one.destination, []).append(queued)
    return [
        Work(
            message=placed.place.message,
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


def _envelope(message: int, parcel: Parcel, digest: int) -> tuple[object, ...]:
    facts = parcel.facts
    return (
        message,
        facts.id,
        str(facts.reverse_path),
        parcel.size,
        parcel.received,
        parcel.expires,
        parcel.event,
        records.encode(facts).decode(),
        digest,
    )


def _row(row: int, message: int, one: NewRecipient) -> tuple[object, ...]:
    return (
        row,
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
