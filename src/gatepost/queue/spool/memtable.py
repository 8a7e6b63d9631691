"""The messages of a spool file's journal that are not in its tables yet.

Most of them are delivered before they reach the tables. The rest moves there together (`absorb`),
and the journal starts another generation. Until the tables have committed that, the journal refuses
further records (`is_absorbed`).

The table `journal` has the generation that is not in the tables. If it has none,
because the file is new or replaces a damaged one, the first record of the journal decides. A
generation is a random number from 1 to HIGHEST.

Limits: MAX_CONTENT octets per message; the whole journal is in memory.
"""

import secrets
import sqlite3
from collections.abc import Container, Iterator
from pathlib import Path

import msgspec

from gatepost.log.logger import get_logger
from gatepost.queue.spool.journal import Journal, RecordReader, first_generation, read
from gatepost.queue.spool.journal_records import (
    DoneRecord,
    JournalRecord,
    PutRecord,
    decode_record,
    encode_record,
)
from gatepost.queue.spool.records import NewMessage
from gatepost.queue.spool.sql.insert import RowIds

MAX_CONTENT = 64 * 1024
# The largest integer of SQLite.
HIGHEST = (1 << 63) - 1

_SET_GENERATION = "INSERT OR REPLACE INTO journal (id, generation) VALUES (1, ?)"

_log = get_logger("gatepost.queue")


class Replay:
    """The undelivered messages after a sequence of records."""

    def __init__(self) -> None:
        self._puts: dict[int, PutRecord] = {}
        self._undelivered: dict[int, set[int]] = {}
        self._messages: dict[int, int] = {}

    def __contains__(self, message: int) -> bool:
        return message in self._puts

    @property
    def numbers(self) -> tuple[int, int]:
        """The highest numbers of a message and a recipient, 0 if there is none."""
        return max(self._puts, default=0), max(self._messages, default=0)

    def copy(self) -> "Replay":
        """Return a copy."""
        other = Replay()
        for put in self._puts.values():
            other.apply(put)
        for message, rows in self._undelivered.items():
            other.apply(DoneRecord([row for row in self._puts[message].rows if row not in rows]))
        return other

    def apply(self, record: JournalRecord) -> None:
        """Apply a record; rows of unknown messages are ignored."""
        if isinstance(record, PutRecord):
            self._puts[record.message] = record
            self._undelivered[record.message] = set(record.rows)
            self._messages |= dict.fromkeys(record.rows, record.message)
            return
        for row in record.rows:
            message = self._messages.pop(row, None)
            if message is not None:
                self._undelivered[message].discard(row)
                if not self._undelivered[message]:
                    del self._undelivered[message], self._puts[message]

    def undelivered(self) -> Iterator[tuple[NewMessage, RowIds]]:
        """Yield the undelivered messages, each with its undelivered recipients only."""
        for message, rows in self._undelivered.items():
            yield _undelivered(self._puts[message], rows)


def _undelivered(put: PutRecord, rows: Container[int]) -> tuple[NewMessage, RowIds]:
    left = [(row, one) for row, one in zip(put.rows, put.recipients, strict=True) if row in rows]
    new_message = NewMessage(
        facts=put.facts,
        recipients=[one for _, one in left],
        pieces=[put.content],
        size=len(put.content),
        received=put.received,
        expires=put.expires,
        event=put.event,
    )
    return new_message, RowIds(put.message, [row for row, _ in left])


class Memtable:
    """The messages of an open journal. `connection` is that of the spool file.

    Records of a transaction count from `keep` on. Raises OSError or sqlite3.Error.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, capacity: int) -> None:
        self._connection = connection
        octets = read(path)
        generation = _current_generation(connection, octets)
        records = RecordReader(octets, generation)
        self._kept, useless = replay(records)
        if useless:
            _log.error("journal damaged", file=str(path), octets=useless)
        self._journal = Journal(path, generation, capacity, records.end)
        self._new: list[JournalRecord] = []
        self._next_generation: int | None = None

    @property
    def numbers(self) -> tuple[int, int]:
        """The highest numbers of a message and a recipient, 0 if there is none."""
        return self._kept.numbers

    @property
    def is_absorbed(self) -> bool:
        """Return whether the tables have, or get in this transaction, all of the journal."""
        return self._next_generation is not None

    def __contains__(self, message: int) -> bool:
        return not self.is_absorbed and message in self._kept

    def add(self, record: JournalRecord) -> bool:
        """Add a record; return False if the journal has no room for it."""
        payload = encode_record(record)
        if self.is_absorbed or not self._journal.has_room(len(payload)):
            return False
        self._journal.add(payload)
        self._new.append(record)
        return True

    def absorb(self) -> Iterator[tuple[NewMessage, RowIds]]:
        """Yield the undelivered messages for the tables, those of this transaction included.

        After the last one the journal counts as absorbed: `keep` starts another generation.
        """
        if self.is_absorbed or self._journal.is_unused:
            return
        replayed = self._kept.copy()
        for record in self._new:
            replayed.apply(record)
        yield from replayed.undelivered()
        self._next_generation = _set_generation(self._connection, _random())

    def write(self) -> None:
        """Make the records of this transaction durable; `undo` is possible until `keep`."""
        if not self.is_absorbed:
            self._journal.write()

    def keep(self) -> None:
        """Keep the records of this transaction, or start another generation if absorbed."""
        if self._next_generation is None:
            self._journal.keep()
            for record in self._new:
                self._kept.apply(record)
        else:
            self._journal.start_generation(self._next_generation)
            self._kept = Replay()
            self._next_generation = None
        self._new.clear()

    def undo(self) -> None:
        """Drop the records of this transaction, written or not."""
        self._journal.undo()
        self._new.clear()
        if self.is_absorbed:
            # A failed commit may still be on the disk, and take effect after a crash. Records that
            # are added now would then belong to a generation that is not read.
            self._journal.close_generation()
            self._next_generation = None

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def replay(records: RecordReader) -> tuple[Replay, int]:
    """Return the messages of a journal, and the number of useless octets in it."""
    replayed, undecodable = Replay(), 0
    for payload in records.payloads():
        try:
            replayed.apply(decode_record(payload))
        except msgspec.MsgspecError:
            undecodable += len(payload)
    return replayed, records.broken + undecodable


def _current_generation(connection: sqlite3.Connection, octets: bytes) -> int:
    """Return the generation that is not in the tables."""
    noted = connection.execute("SELECT generation FROM journal").fetchone()
    if noted is not None and is_generation(noted[0]):
        return int(noted[0])
    first = first_generation(octets)
    return _set_generation(connection, first if is_generation(first) else _random())


def _set_generation(connection: sqlite3.Connection, generation: int) -> int:
    connection.execute(_SET_GENERATION, (generation,))
    return generation


def _random() -> int:
    return secrets.randbelow(HIGHEST) + 1


def is_generation(value: object) -> bool:
    """Return whether a value can be a generation."""
    return isinstance(value, int) and 0 < value <= HIGHEST
