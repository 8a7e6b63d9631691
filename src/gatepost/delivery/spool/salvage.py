"""What can still be read of a damaged spool file.

The file has been set aside by then (`folder.set_aside`) and is only read. Tables are read in the
order of their rows; where that breaks off, reading goes on some numbers further, with steps that
grow, so that it ends soon whatever the file is like. A message is salvaged if its envelope, all of
its content and its recipients can be read; others stay in the file.

Limits: one message in memory.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from gatepost.delivery.spool import records
from gatepost.delivery.spool.content import Reader
from gatepost.delivery.spool.records import NewRecipient, Parcel
from gatepost.delivery.spool.schema import has_digests

# Steps over what cannot be read are doubled up to here.
MAX_STEP = 1 << 16

_MESSAGE = "SELECT id, facts, size, received, expires, event, {digest} FROM message"
_RECIPIENT = "SELECT id, message, facts, destination, due, attempts, reply, reason FROM recipient"

# More than any number of a message.
_END = 1 << 62

Row = tuple[Any, ...]


def salvage(path: Path) -> Iterator[Parcel]:
    """Yield the messages of a file that can be read whole, the oldest first."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False
    )
    try:
        reader = Reader(connection)
        for row, recipients in _with_recipients(connection):
            parcel = _parcel(reader, row, recipients)
            if parcel is not None:
                yield parcel
    finally:
        connection.close()


def _with_recipients(connection: sqlite3.Connection) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Yield messages, each with its recipients: both are numbered in the order they came in."""
    groups = groupby(_rows(connection, _RECIPIENT), key=itemgetter(1))
    belongs_to, recipients = 0, list[Row]()
    for row in _rows(connection, _MESSAGE.format(digest=_digest(connection))):
        while belongs_to < row[0]:
            belongs_to, group = next(groups, (_END, iter(())))
            recipients = list(group)
        yield row, recipients if belongs_to == row[0] else ()


def _digest(connection: sqlite3.Connection) -> str:
    try:
        return "digest" if has_digests(connection) else "NULL"
    except sqlite3.DatabaseError:
        return "NULL"


def _rows(connection: sqlite3.Connection, query: str) -> Iterator[Row]:
    """Yield rows in the order of their numbers, stepping over those that cannot be read."""
    after, step = 0, 1
    while step <= MAX_STEP:
        try:
            for row in connection.execute(f"{query} WHERE id > ? ORDER BY id", (after,)):
                yield row
                after, step = row[0], 1
        except sqlite3.DatabaseError:
            after += step
            step *= 2
        else:
            return


def _parcel(reader: Reader, row: Row, recipients: Sequence[Row]) -> Parcel | None:
    try:
        message, facts, size, received, expires, event, digest = row
        pieces = list(reader.pieces(message, size, digest=digest))
        readable = [_recipient(one) for one in recipients]
        if not readable:
            return None
        return Parcel(
            facts=records.decode_message(facts),
            recipients=readable,
            pieces=pieces,
            size=size,
            received=received,
            expires=expires,
            event=event,
        )
    except (OSError, ValueError, TypeError):
        return None


def _recipient(row: Row) -> NewRecipient:
    _, _, facts, destination, due, attempts, reply, reason = row
    known = records.decode_recipient(facts)
    return NewRecipient(known, destination, due, attempts, reply, reason)
