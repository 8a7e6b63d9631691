"""Putting a message into a spool file."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import NamedTuple
from zlib import crc32

from gatepost.delivery.target import DeliveryError
from gatepost.queue.spool import records
from gatepost.queue.spool.content import in_chunks, write_content
from gatepost.queue.spool.destinations import Destinations
from gatepost.queue.spool.records import NewMessage, NewRecipient, QueuedRecipient, Work

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

    def place(self, new_message: NewMessage) -> Place:
        """Return a place for a message."""
        rows = list(islice(self._recipients, len(new_message.recipients)))
        return Place(next(self._messages), rows)


class Tables:
    """The tables that messages are put into.

    `opens` says of a destination before when it is not to be looked at.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        marks: Destinations,
        numbers: Numbers,
        opens: Callable[[str], float],
    ) -> None:
        self._connection = connection
        self._marks = marks
        self._opens = opens
        self.numbers = numbers

    def put(self, new_message: NewMessage) -> Placed:
        """Store a message and return where it is; raises `DeliveryError` or sqlite3.Error."""
        return self.put_at(self.numbers.place(new_message), new_message)

    def put_at(self, place: Place, new_message: NewMessage) -> Placed:
        """Store a message in its place; raises as `put`."""
        chunks = in_chunks(new_message.pieces)
        first = next(chunks, b"")
        digest = crc32(first)
        self._connection.execute(_MESSAGE, _envelope(place.message, new_message, digest))
        size, digest = write_content(self._connection, place.message, first, digest, chunks)
        check_size(new_message, size)
        rows = zip(place.recipients, new_message.recipients, strict=True)
        self._connection.executemany(
            _RECIPIENT, [_row(row, place.message, one) for row, one in rows]
        )
        for name, due in _first_due(new_message.recipients).items():
            self._marks.lower(name, max(due, self._opens(name)))
        return Placed(place, first, digest)


def check_size(new_message: NewMessage, found: int) -> None:
    """Raise `DeliveryError` unless all of a message was found."""
    if found != new_message.size:
        detail = f"spool: expected {new_message.size} octets of message, found {found}"
        raise DeliveryError("The message could not be stored, try again later", detail=detail)


def as_work(new_message: NewMessage, placed: Placed, now: float) -> list[Work]:
    """Return a message that has just been put as work, one for each destination that is due."""
    due: dict[str, list[QueuedRecipient]] = {}
    for one, number in zip(new_message.recipients, placed.place.recipients, strict=True):
        if one.due is not None and one.due <= now:
            queued = QueuedRecipient(
                number, one.facts, one.destination, one.attempts, one.reply, one.reason
            )
            due.setdefault(one.destination, []).append(queued)
    return [
        Work(
            message=placed.place.message,
            facts=new_message.facts,
            size=new_message.size,
            received=new_message.received,
            expires=new_message.expires,
            event=new_message.event,
            destination=name,
            recipients=recipients,
            first=placed.first,
            digest=placed.digest,
        )
        for name, recipients in due.items()
    ]


def _envelope(message: int, new_message: NewMessage, digest: int) -> tuple[object, ...]:
    facts = new_message.facts
    return (
        message,
        facts.id,
        str(facts.reverse_path),
        new_message.size,
        new_message.received,
        new_message.expires,
        new_message.event,
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
