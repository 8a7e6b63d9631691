"""Putting a message into a spool file."""

import sqlite3
from collections.abc import Callable, Sequence

from gatepost.delivery.spool import records
from gatepost.delivery.spool.content import write_content
from gatepost.delivery.spool.marks import Marks
from gatepost.delivery.spool.records import NewRecipient, Parcel
from gatepost.delivery.target import DeliveryError

_MESSAGE = (
    "INSERT INTO message (ref, sender, size, received, expires, event, facts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_RECIPIENT = (
    "INSERT INTO recipient (message, address, destination, due, attempts, reply, reason, facts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def put(
    connection: sqlite3.Connection, marks: Marks, parcel: Parcel, opens: Callable[[str], float]
) -> int:
    """Store a message and return its number; raises `DeliveryError` or sqlite3.Error.

    `opens` says before when a destination is not to be looked at.
    """
    message = _put_envelope(connection, parcel)
    found = write_content(connection, message, parcel.pieces)
    if found != parcel.size:
        detail = f"spool: expected {parcel.size} octets of message, found {found}"
        raise DeliveryError("The message could not be stored, try again later", detail=detail)
    connection.executemany(_RECIPIENT, [_row(message, one) for one in parcel.recipients])
    for name, due in _first_due(parcel.recipients).items():
        marks.lower(name, max(due, opens(name)))
    return message


def _put_envelope(connection: sqlite3.Connection, parcel: Parcel) -> int:
    facts = parcel.facts
    values = (
        facts.id,
        str(facts.reverse_path),
        parcel.size,
        parcel.received,
        parcel.expires,
        parcel.event,
        records.encode(facts).decode(),
    )
    number = connection.execute(_MESSAGE, values).lastrowid
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
