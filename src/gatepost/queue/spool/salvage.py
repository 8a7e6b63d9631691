"""What can still be read of a damaged spool file.

Theory of operation
-------------------
The file has been set aside by then (`aside`). First the numbers of what is there are listed in a
table elsewhere: rows are read in their order, and where that breaks off from the next number that
can be read. Indexes are not asked, they may be as broken as the rest. Then each message is read by
its number.

A message is put back if its envelope and all of its content can be read, for those of its
recipients that can be; what cannot be read of it is told. What is in the journal and not in the
tables is taken from there. Where neither its envelope nor any recipient can be read nobody knows
that it was there.

Trusts nothing: any value may be of any type, any row anywhere.
Limits: one message in memory. Past STEPS numbers in a row that cannot be read the next that can is
searched for by bisection, which may miss some between two broken places.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from gatepost.queue.spool import records
from gatepost.queue.spool.content import DamagedError, Reader
from gatepost.queue.spool.corrupt import journal_of
from gatepost.queue.spool.database import as_text, connect, is_unreadable
from gatepost.queue.spool.generation import is_generation
from gatepost.queue.spool.journal import Records, first_generation, read
from gatepost.queue.spool.memtable import heard
from gatepost.queue.spool.records import NewMessage, NewRecipient
from gatepost.queue.spool.schema import has_digests

# More than the rows on the pages below one.
STEPS = 10_000

_MESSAGE = "SELECT facts, size, received, expires, event, {digest} FROM message WHERE id = ?"
_RECIPIENT = (
    "SELECT facts, destination, due, attempts, reply, reason FROM recipient NOT INDEXED"
    " WHERE id = ?"
)

# Rows of messages are listed as their own recipient 0.
_LISTED = (
    "CREATE TABLE listed (message INTEGER, recipient INTEGER, PRIMARY KEY (message, recipient))"
    " WITHOUT ROWID"
)
_LIST = "INSERT OR IGNORE INTO listed (message, recipient) VALUES (?, ?)"

# More than any number.
_END = 1 << 62
# What a value of the wrong kind comes to, or none at all; msgspec's errors are ValueErrors.
_WRONG = (sqlite3.Error, OSError, ValueError, TypeError, OverflowError)

Row = tuple[Any, ...]


class Found(NamedTuple):
    """A message of a damaged file: what can be put back of it, and what cannot be read of it."""

    message: int
    new_message: NewMessage | None
    problem: str = ""


def salvage(path: Path, after: int = 0) -> Generator[Found, None, None]:
    """Yield the messages of a file with numbers beyond `after`, the oldest first.

    Raises sqlite3.Error or OSError where that has nothing to do with the file itself.
    """
    with closing(connect(path)) as connection, closing(_nowhere()) as listed:
        wreck = _Wreck(connection, listed, _in_journal(connection, journal_of(path)))
        for message in wreck.messages(after):
            yield wreck.read(message)


def _nowhere() -> sqlite3.Connection:
    """Return a database that is nobody else's, in memory or in a file without a name."""
    return sqlite3.connect("", isolation_level=None, check_same_thread=False)


def _in_journal(connection: sqlite3.Connection, journal: Path) -> dict[int, NewMessage]:
    """Return what is in a journal and not in the tables, or may not be, by its number."""
    octets = read(journal)
    noted = _readable(lambda: connection.execute("SELECT generation FROM journal").fetchone())
    generation = noted[0] if noted and is_generation(noted[0]) else first_generation(octets)
    if not is_generation(generation):
        return {}
    known, _ = heard(Records(octets, generation))
    return {place.message: new_message for new_message, place in known.left()}


class _Wreck:
    """A damaged file, what is `listed` of it, and what is in its journal."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        listed: sqlite3.Connection,
        journal: Mapping[int, NewMessage],
    ) -> None:
        self._connection = connection
        self._listed = listed
        self._journal = journal
        self._reader = Reader(connection)
        digest = "digest" if _readable(lambda: has_digests(connection)) else "NULL"
        self._message = _MESSAGE.format(digest=digest)
        connection.execute("PRAGMA cell_size_check = ON")
        listed.execute(_LISTED)
        listed.execute("BEGIN")
        for table, columns in (("message", "id, id, 0"), ("recipient", "id, message, id")):
            rows = _Table(connection, table, columns).rows()
            listed.executemany(_LIST, (row[1:] for row in rows if isinstance(row[1], int)))
        listed.executemany(_LIST, ((message, 0) for message in journal))
        listed.execute("COMMIT")

    def messages(self, after: int) -> Iterator[int]:
        """Yield the numbers of messages that are listed."""
        while True:
            (after,) = self._listed.execute(
                "SELECT min(message) FROM listed WHERE message > ?", (after,)
            ).fetchone()
            if after is None:
                return
            yield after

    def read(self, message: int) -> Found:
        """Read a message."""
        found = self._in_tables(message)
        if found.new_message is None and message in self._journal:
            return Found(message, self._journal[message])
        return found

    def _in_tables(self, message: int) -> Found:
        recipients, problem = self._recipients(message)
        try:
            row = _one(self._connection, self._message, message)
            if row is None:
                return Found(message, None, "its envelope cannot be read")
            return Found(message, self._parcel(message, row, recipients), problem)
        except _WRONG as error:
            return Found(message, None, _problem(error))

    def _recipients(self, message: int) -> tuple[list[NewRecipient], str]:
        """Return those that can be read, and what is wrong with the last that cannot."""
        numbers = self._listed.execute(
            "SELECT recipient FROM listed WHERE message = ? AND recipient != 0", (message,)
        ).fetchall()
        found, problem = list[NewRecipient](), ""
        for (number,) in numbers:
            try:
                row = _one(self._connection, _RECIPIENT, number)
                found += [] if row is None else [_recipient(row)]
            except _WRONG as error:
                problem = f"recipient {number}: {_problem(error)}"
        return found, problem

    def _parcel(self, message: int, row: Row, recipients: list[NewRecipient]) -> NewMessage:
        facts, size, received, expires, event, digest = row
        if not recipients:
            raise ValueError("none of its recipients can be read")
        return NewMessage(
            facts=records.decode_message(facts),
            recipients=recipients,
            pieces=list(self._reader.pieces(message, size, digest=digest)),
            size=size,
            received=float(received),
            expires=float(expires),
            event=None if event is None else float(event),
        )


def _problem(error: Exception) -> str:
    """Return what is wrong with the file; raises an error that has nothing to do with it."""
    foreign = isinstance(error, sqlite3.Error | OSError) and not isinstance(error, DamagedError)
    if foreign and not is_unreadable(error):
        raise error
    return str(error)


def _recipient(row: Row) -> NewRecipient:
    facts, destination, due, attempts, reply, reason = row
    return NewRecipient(
        records.decode_recipient(facts),
        as_text(destination),
        None if due is None else float(due),
        int(attempts),
        as_text(reply),
        as_text(reason),
    )


class _Table:
    """Rows of a table in the order of their numbers, as far as they can be read."""

    def __init__(self, connection: sqlite3.Connection, name: str, columns: str) -> None:
        self._connection = connection
        self._rows = f"SELECT {columns} FROM {name} WHERE id > ? ORDER BY id"  # noqa: S608 - our own
        self._before = f"SELECT max(id) FROM {name} WHERE id < ?"  # noqa: S608 - likewise

    def rows(self) -> Iterator[Row]:
        """Yield rows, passing over those that cannot be read."""
        row = yield from self._following(0)
        while row is not None:
            yield row
            row = yield from self._following(row[0])

    def _following(self, after: int) -> Generator[Row, None, Row | None]:
        """Yield rows until one cannot be read, return the first behind that, None at the end."""
        try:
            for row in self._connection.execute(self._rows, (after,)):
                if not self._is_next(row, after):
                    break
                yield row
                after = row[0]
            else:
                return None
        except sqlite3.Error as error:
            if not is_unreadable(error):
                raise
        return _beyond(self._next, after)

    def _next(self, after: int) -> Row | None:
        """Return the row behind a number, () if there is none, None if it cannot be read."""
        row = _readable(lambda: _one(self._connection, f"{self._rows} LIMIT 1", after) or ())
        return row if not row or self._is_next(row, after) else None

    def _is_next(self, row: Row, after: int) -> bool:
        """Whether there is no row between; a page in the wrong place has others than its own."""
        if row[0] <= after + 1:
            return bool(row[0] > after)
        before = _readable(lambda: _one(self._connection, self._before, row[0]))
        return before is None or before[0] is None or before[0] <= after


def _beyond(read: Callable[[int], Row | None], after: int) -> Row | None:
    """Return the next row beyond a number that can be read, None if there is none any more."""
    for number in range(after, after + STEPS):
        row = read(number)
        if row is not None:
            return row or None
    low, step = after + STEPS - 1, STEPS
    while (row := read(low + step)) is None:
        low, step = low + step, step * 2
        if low > _END:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        found = read(middle)
        if found is None:
            low = middle
        else:
            high, row = middle, found
    return row or None


def _one(connection: sqlite3.Connection, query: str, number: int) -> Row | None:
    row: Row | None = connection.execute(query, (number,)).fetchone()
    return row


def _readable(question: Callable[[], Any]) -> Any:
    """Return an answer, None if the file is too damaged for one."""
    try:
        return question()
    except sqlite3.Error as error:
        if not is_unreadable(error):
            raise
        return None
