"""One open spool file: its tables, and the journal in front of them.

Everything here runs in the writing thread, between `begin` and `commit`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from gatepost.queue.spool.corrupt import journal_of
from gatepost.queue.spool.journal import CAPACITY
from gatepost.queue.spool.journal_records import DoneRecord, JournalRecord, put_record
from gatepost.queue.spool.memtable import MAX_CONTENT, Memtable
from gatepost.queue.spool.records import AttemptResult, DeliveryJob, NewMessage
from gatepost.queue.spool.sql.content import ContentReader
from gatepost.queue.spool.sql.database import connect, open_file
from gatepost.queue.spool.sql.insert import RowCounter, StoredMessage, as_jobs, check_size
from gatepost.queue.spool.sql.tables import Tables, TakenJobs
from gatepost.queue.spool.sql.take import Claims


class Store:
    """A spool file, created if necessary. Raises OSError, sqlite3.Error or `VersionError`.

    `begin` opens a closed file again: a disk may come back.

    `size` is the limit for the file and its journal in octets. For `horizon` and `suspended_until`
    see `Tables`.
    """

    def __init__(
        self, path: Path, *, size: int, horizon: float, suspended_until: Callable[[str], float]
    ) -> None:
        self.path = path
        self._size = size
        self._horizon = horizon
        self._suspended_until = suspended_until
        self._open()

    def _open(self) -> None:
        capacity = min(CAPACITY, self._size // 4)
        with ExitStack() as stack:
            self.connection = open_file(self.path, self._size - capacity)
            stack.callback(self.connection.close)
            self.reader = ContentReader(connect(self.path))
            stack.callback(self.reader.close)
            self._memtable = Memtable(self.connection, journal_of(self.path), capacity)
            stack.callback(self._memtable.close)
            self._counter = RowCounter(self.connection, self._memtable.numbers)
            self._open_tables = Tables(
                self.connection, horizon=self._horizon, suspended_until=self._suspended_until
            )
            self._files = stack.pop_all()
        self._is_open = True

    # transactions

    def begin(self) -> None:
        """Begin a transaction; raises the errors of opening a file."""
        if not self._is_open:
            self.path.stat()  # in a new file, the numbers would mean other messages
            self._open()

    def transaction(self) -> sqlite3.Connection:
        """Return the connection, in a transaction of SQLite; raises sqlite3.Error.

        It begins with its first use. Most transactions change the journal only and need none.
        """
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN IMMEDIATE")
        return self.connection

    @property
    def _tables(self) -> Tables:
        """The tables, in a transaction of SQLite."""
        self.transaction()
        return self._open_tables

    def commit(self) -> None:
        """Make the transaction durable before returning."""
        if not self.connection.in_transaction:
            self._memtable.write()
        else:
            self._open_tables.flush()
            self._memtable.write()
            self.connection.execute("COMMIT")
        self._memtable.keep()

    def roll_back(self) -> None:
        """Undo the transaction."""
        self._open_tables.roll_back()
        if self._is_open:
            self._memtable.undo()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        self._files.close()

    # the journal or the tables

    def _write(self, record: JournalRecord | None, to_tables: Callable[[], None]) -> None:
        """Write a record to the journal; without one, or without room, write to the tables.

        The journal is absorbed first, so that the tables have the messages of earlier records.
        """
        if record is None or not self._memtable.add(record):
            self.absorb()
            to_tables()

    def absorb(self) -> None:
        """Move the undelivered messages of the journal to the tables; raises sqlite3.Error."""
        tables = self._tables
        for new_message, ids in self._memtable.absorb():
            tables.put(ids, new_message)

    # messages

    def put(self, new_message: NewMessage) -> int:
        """Store a message in the tables; return its number.

        Raises `DeliveryError` or sqlite3.Error.
        """
        return self._put_in_tables(new_message).ids.message

    def _put_in_tables(self, new_message: NewMessage) -> StoredMessage:
        return self._tables.put(self._counter.assign(new_message), new_message)

    def post(
        self, new_message: NewMessage, now: float, *, at_once: bool = False
    ) -> list[DeliveryJob]:
        """Store a message and return its due jobs; raises as `put`.

        If all of them start `at_once`, a short message goes to the journal only. `take` finds the
        rest after the next `absorb`.
        """
        if at_once and new_message.size <= MAX_CONTENT:
            return as_jobs(new_message, self._put_in_journal(new_message), now)
        return as_jobs(new_message, self._put_in_tables(new_message), now)

    def _put_in_journal(self, new_message: NewMessage) -> StoredMessage:
        content = b"".join(new_message.pieces)
        check_size(new_message, len(content))
        stored = StoredMessage(self._counter.assign(new_message), content, None)

        def to_tables() -> None:
            again = msgspec.structs.replace(new_message, pieces=[content])
            self._tables.put(stored.ids, again)

        self._write(put_record(new_message, stored), to_tables)
        return stored

    def record(self, result: AttemptResult) -> None:
        """Write the new state of a message, and store its DSNs; raises sqlite3.Error."""
        if result.message in self._memtable:
            record = DoneRecord(result.delivered) if result.is_delivery_only else None
            self._write(record, lambda: self._tables.record(result))
        else:
            self._tables.record(result)
        for new_message in result.new_messages:
            self.put(new_message)

    def move(self, ids: Sequence[int], old: str, new: str) -> None:
        """Move recipients from one destination to another."""
        self._write(None, lambda: self._tables.move(ids, old, new))

    def take(self, now: float, total: int, claims: Claims) -> TakenJobs:
        """Return at most `total` due jobs of the tables."""
        return self._tables.take(now, total, claims)

    def elapsed(self, now: float, horizon: float, limit: int) -> TakenJobs:
        """Return messages of the tables whose `event` is due, see `Tables.elapsed`."""
        return self._tables.elapsed(now, horizon, limit)

    def is_empty(self) -> bool:
        """Return whether there is no message, queued or held."""
        self.absorb()
        return self._tables.is_empty()
