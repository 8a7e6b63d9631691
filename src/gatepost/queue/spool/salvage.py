"""Reading the messages of a damaged spool file.

Theory of operation
-------------------
The file has been renamed before (`corrupt`). First, the numbers of all rows are collected in a
temporary table: rows are read in order, and after a read error from the next readable number on.
Indexes are not used, because they may be damaged, too. Then each message is read by its number.

A message is recovered if its envelope and its whole content are readable, for those recipients that
are readable. Everything unreadable is reported. Messages of the journal that are not in the tables
are recovered from the journal. A damaged WAL is repaired first (`sql.wal`). A message without a
readable envelope, recipient or piece of content leaves no trace.

Nothing in the file is trusted: a value may have any type, a row may be anywhere.

Limits: one message in memory. After STEPS unreadable numbers in a row, the next readable one is
searched by bisection, which may miss some rows between two damaged areas.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from gatepost.queue.spool import records
from gatepost.queue.spool.corrupt import journal_of
from gatepost.queue.spool.journal import RecordReader, first_generation, read
from gatepost.queue.spool.memtable import is_generation, replay
from gatepost.queue.spool.records import NewMessage, NewRecipient
from gatepost.queue.spool.sql.content import ContentReader, DamagedContentError
from gatepost.queue.spool.sql.database import as_text, connect, is_unreadable
from gatepost.queue.spool.sql.schema import CHUNK_BITS, check_row, column
from gatepost.queue.spool.sql.wal import repair_wal

# More rows than fit on the pages below one interior page.
STEPS = 10_000

_MESSAGE = (
    "SELECT facts, size, received, expires, event, {digest}, {envelope} FROM message WHERE id = ?"
)
_RECIPIENT = (
    "SELECT facts, destination, due, attempts, reply, reason, message, {envelope},"
    " {holder}, {held}"
    " FROM recipient NOT INDEXED WHERE id = ?"
)

# The columns of `recipient` that files of earlier versions lack.
_LATER = ("envelope", "holder", "held")

# A row of `message` is listed with recipient 0.
_LISTED = (
    "CREATE TABLE listed (message INTEGER, recipient INTEGER, PRIMARY KEY (message, recipient))"
    " WITHOUT ROWID"
)
# Content without an envelope is listed, so that its message is reported.
_SCANS = (
    ("message", "id, id, 0"),
    ("recipient", "id, message, id"),
    ("content", f"id, id >> {CHUNK_BITS}, 0"),
)
_LIST = "INSERT OR IGNORE INTO listed (message, recipient) VALUES (?, ?)"

# Beyond all numbers.
_END = 1 << 62
# The errors of a wrong or missing value; those of msgspec are ValueErrors.
_DAMAGE_ERRORS = (sqlite3.Error, OSError, ValueError, TypeError, OverflowError)

# The errors of a query; the message of an error can be unreadable, too.
_QUERY_ERRORS = (sqlite3.Error, UnicodeDecodeError)

Row = tuple[Any, ...]


class SalvagedMessage(NamedTuple):
    """A message of a damaged file: its readable part (None: nothing), and the problem with it."""

    message: int
    new_message: NewMessage | None
    problem: str = ""


def salvage(path: Path, after: int = 0) -> Generator[SalvagedMessage, None, None]:
    """Yield the messages of a file with numbers above `after`, the oldest first.

    Raises sqlite3.Error or OSError if the problem is not the file itself.
    """
    repair_wal(path)
    with closing(connect(path)) as connection, closing(_temporary()) as listed:
        damaged = _DamagedFile(connection, listed, _in_journal(connection, journal_of(path)))
        for message in damaged.messages(after):
            yield damaged.read(message)


def _temporary() -> sqlite3.Connection:
    """Return a private database, in memory or in an unnamed file."""
    return sqlite3.connect("", isolation_level=None, check_same_thread=False)


def _in_journal(connection: sqlite3.Connection, journal: Path) -> dict[int, NewMessage]:
    """Return the messages of a journal that may not be in the tables, by number."""
    octets = read(journal)
    noted = _readable(lambda: connection.execute("SELECT generation FROM journal").fetchone())
    generation = noted[0] if noted and is_generation(noted[0]) else first_generation(octets)
    if not is_generation(generation):
        return {}
    replayed, _ = replay(RecordReader(octets, generation))
    return {ids.message: new_message for new_message, ids in replayed.undelivered()}


class _DamagedFile:
    """A damaged file, the list of its rows, and the messages of its journal."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        listed: sqlite3.Connection,
        journal: Mapping[int, NewMessage],
    ) -> None:
        self._connection = connection
        self._listed = listed
        self._journal = journal
        self._reader = ContentReader(connection)
        self._message = _MESSAGE.format(
            digest=self._column("message", "digest"), envelope=self._column("message", "envelope")
        )
        names = {name: self._column("recipient", name) for name in _LATER}
        self._recipient = _RECIPIENT.format(**names)
        connection.execute("PRAGMA cell_size_check = ON")
        listed.execute(_LISTED)
        listed.execute("BEGIN")
        for table, columns in _SCANS:
            rows = _TableScan(connection, table, columns).rows()
            listed.executemany(_LIST, (row[1:] for row in rows if isinstance(row[1], int)))
        listed.executemany(_LIST, ((message, 0) for message in journal))
        listed.execute("COMMIT")

    def _column(self, table: str, name: str) -> str:
        return _readable(lambda: column(self._connection, table, name)) or "NULL"

    def messages(self, after: int) -> Iterator[int]:
        """Yield the numbers of the listed messages."""
        while True:
            (after,) = self._listed.execute(
                "SELECT min(message) FROM listed WHERE message > ?", (after,)
            ).fetchone()
            if after is None:
                return
            yield after

    def read(self, message: int) -> SalvagedMessage:
        """Read a message."""
        found = self._in_tables(message)
        if found.new_message is None and message in self._journal:
            return SalvagedMessage(message, self._journal[message])
        return found

    def _in_tables(self, message: int) -> SalvagedMessage:
        recipients, problem = self._recipients(message)
        try:
            row = _one(self._connection, self._message, message)
            if row is None:
                return SalvagedMessage(message, None, "envelope unreadable")
            return SalvagedMessage(message, self._new_message(message, row, recipients), problem)
        except _DAMAGE_ERRORS as error:
            return SalvagedMessage(message, None, _problem(error))

    def _recipients(self, message: int) -> tuple[list[NewRecipient], str]:
        """Return the readable recipients, and the problem with the last unreadable one."""
        numbers = self._listed.execute(
            "SELECT recipient FROM listed WHERE message = ? AND recipient != 0", (message,)
        ).fetchall()
        found, problem = list[NewRecipient](), ""
        for (number,) in numbers:
            try:
                row = _one(self._connection, self._recipient, number)
                found += [] if row is None else [_recipient(number, row)]
            except _DAMAGE_ERRORS as error:
                problem = f"recipient {number}: {_problem(error)}"
        return found, problem

    def _new_message(self, message: int, row: Row, recipients: list[NewRecipient]) -> NewMessage:
        facts, size, received, expires, event, digest, envelope = row
        if not recipients:
            raise ValueError("no readable recipient")
        new_message = NewMessage(
            facts=records.decode_message(facts),
            recipients=recipients,
            pieces=list(self._reader.pieces(message, size, digest=digest)),
            size=size,
            received=float(received),
            expires=float(expires),
            event=None if event is None else float(event),
        )
        check_row(envelope, message, facts, size)
        return new_message


def _problem(error: Exception) -> str:
    """Return the problem with the file; raises the error if the file is not the cause."""
    is_io = isinstance(error, sqlite3.Error | OSError) and not isinstance(
        error, DamagedContentError
    )
    if is_io and not is_unreadable(error):
        raise error
    return str(error)


def _recipient(number: int, row: Row) -> NewRecipient:
    facts, destination, due, attempts, reply, reason, message, envelope, holder, held = row
    recipient = NewRecipient(
        records.decode_recipient(facts),
        as_text(destination),
        None if due is None else float(due),
        int(attempts),
        as_text(reply),
        as_text(reason),
        as_text(holder or ""),
        None if held is None else float(held),
    )
    check_row(envelope, number, message, facts)
    return recipient


class _TableScan:
    """Reads the readable rows of a table in the order of their numbers."""

    def __init__(self, connection: sqlite3.Connection, name: str, columns: str) -> None:
        self._connection = connection
        self._rows = f"SELECT {columns} FROM {name} WHERE id > ? ORDER BY id"  # noqa: S608 - our own
        self._before = f"SELECT max(id) FROM {name} WHERE id < ?"  # noqa: S608 - as above

    def rows(self) -> Iterator[Row]:
        """Yield the readable rows."""
        row = yield from self._following(0)
        while row is not None:
            yield row
            row = yield from self._following(row[0])

    def _following(self, after: int) -> Generator[Row, None, Row | None]:
        """Yield rows until a read error; return the first row after that, None at the end."""
        try:
            for row in self._connection.execute(self._rows, (after,)):
                if not self._is_next(row, after):
                    break
                yield row
                after = row[0]
            else:
                return None
        except _QUERY_ERRORS as error:
            if not is_unreadable(error):
                raise
        return _beyond(self._next, after)

    def _next(self, after: int) -> Row | None:
        """Return the row after a number, () if there is none, None if it is unreadable."""
        row = _readable(lambda: _one(self._connection, f"{self._rows} LIMIT 1", after) or ())
        return row if not row or self._is_next(row, after) else None

    def _is_next(self, row: Row, after: int) -> bool:
        """Return whether no row is between; a misplaced page has rows of other pages."""
        if row[0] <= after + 1:
            return bool(row[0] > after)
        before = _readable(lambda: _one(self._connection, self._before, row[0]))
        return before is None or before[0] is None or before[0] <= after


def _beyond(read: Callable[[int], Row | None], after: int) -> Row | None:
    """Return the next readable row after a number, None if there is none."""
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


def _readable(query: Callable[[], Any]) -> Any:
    """Return the result of a query, None if the file is too damaged for it."""
    try:
        return query()
    except _QUERY_ERRORS as error:
        if not is_unreadable(error):
            raise
        return None
