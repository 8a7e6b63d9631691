"""What is in the journal of a spool file and not in its tables: mail that has just come.

Most of it is delivered before it ever comes to the tables. What is not is moved there (`left`), all
of it at once, and the journal begins another generation.

Here is what the journal says, too: that a message came (`Put`), and that recipients have theirs
(`DoneRecord`).

Limits: MAX_CONTENT octets a message; all of the journal is in memory.
"""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Self

import msgspec
import structlog

from gatepost.queue.spool.journal import Journal, Records, read
from gatepost.queue.spool.put import Place, Placed
from gatepost.queue.spool.records import MessageFacts, NewMessage, NewRecipient

MAX_CONTENT = 64 * 1024

_log = structlog.get_logger("gatepost.queue")


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """A message, its number, and the numbers of its recipients."""

    message: int
    rows: Sequence[int]
    facts: MessageFacts
    recipients: Sequence[NewRecipient]
    received: float
    expires: float
    event: float | None
    content: bytes


class DoneRecord(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """Recipients that have their mail."""

    rows: Sequence[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Put | DoneRecord).decode


class Replay:
    """Messages, and who of their recipients has his mail, as records say it one after the other."""

    def __init__(self) -> None:
        self._puts: dict[int, Put] = {}
        self._waiting: dict[int, set[int]] = {}
        self._messages: dict[int, int] = {}

    def __contains__(self, message: int) -> bool:
        return message in self._puts

    @property
    def numbers(self) -> tuple[int, int]:
        """The highest numbers of a message and a recipient, 0 where there is none."""
        return max(self._puts, default=0), max(self._messages, default=0)

    def copy(self) -> "Replay":
        """Return another that knows the same."""
        other = Replay()
        for put in self._puts.values():
            other.note(put)
        for message, rows in self._waiting.items():
            other.note(DoneRecord([row for row in self._puts[message].rows if row not in rows]))
        return other

    def note(self, record: Put | DoneRecord) -> None:
        """Take note of a record; what it says of messages that are not known says nothing."""
        if isinstance(record, Put):
            self._puts[record.message] = record
            self._waiting[record.message] = set(record.rows)
            self._messages |= dict.fromkeys(record.rows, record.message)
            return
        for row in record.rows:
            message = self._messages.pop(row, None)
            if message is not None:
                self._waiting[message].discard(row)
                if not self._waiting[message]:
                    del self._waiting[message], self._puts[message]

    def left(self) -> Iterator[tuple[NewMessage, Place]]:
        """Yield the messages that somebody is still to have, for them alone."""
        for message, rows in self._waiting.items():
            yield _left(self._puts[message], rows)


def _left(put: Put, rows: Container[int]) -> tuple[NewMessage, Place]:
    waiting = [(row, one) for row, one in zip(put.rows, put.recipients, strict=True) if row in rows]
    new_message = NewMessage(
        facts=put.facts,
        recipients=[one for _, one in waiting],
        pieces=[put.content],
        size=len(put.content),
        received=put.received,
        expires=put.expires,
        event=put.event,
    )
    return new_message, Place(put.message, [row for row, _ in waiting])


class Memtable:
    """The messages of an open journal; what a transaction notes is known once it is kept."""

    def __init__(self, journal: Journal, known: Replay) -> None:
        self._journal = journal
        self._known = known
        self._new: list[Put | DoneRecord] = []

    @classmethod
    def open(cls, path: Path, generation: int, capacity: int) -> Self:
        """Open a journal, made if it is not there, with what it says; raises OSError."""
        records = Records(read(path), generation)
        known, useless = heard(records)
        if useless:
            _log.error("journal damaged", file=str(path), octets=useless)
        return cls(Journal(path, generation, capacity, records.end), known)

    @property
    def numbers(self) -> tuple[int, int]:
        """The highest numbers of a message and a recipient, 0 where there is none."""
        return self._known.numbers

    @property
    def is_unused(self) -> bool:
        """Whether there is nothing in the journal, not even what is done with."""
        return self._journal.is_unused

    def __contains__(self, message: int) -> bool:
        return message in self._known

    def put(self, new_message: NewMessage, placed: Placed) -> bool:
        """Note a message that has come; return whether there was room for it."""
        return self._note(
            Put(
                placed.place.message,
                placed.place.recipients,
                new_message.facts,
                new_message.recipients,
                new_message.received,
                new_message.expires,
                new_message.event,
                placed.first,
            )
        )

    def done(self, rows: Sequence[int]) -> bool:
        """Note recipients that have their mail; return whether there was room for it."""
        return self._note(DoneRecord(rows))

    def _note(self, record: Put | DoneRecord) -> bool:
        payload = _encode(record)
        if not self._journal.has_room(len(payload)):
            return False
        self._journal.add(payload)
        self._new.append(record)
        return True

    def left(self) -> Iterator[tuple[NewMessage, Place]]:
        """Yield the messages that somebody is still to have, by this transaction too."""
        known = self._known.copy()
        for record in self._new:
            known.note(record)
        return known.left()

    def write(self) -> None:
        """Make durable what was noted; it can be undone until `keep`. Raises OSError."""
        self._journal.write()

    def keep(self) -> None:
        """Know what was noted."""
        self._journal.keep()
        for record in self._new:
            self._known.note(record)
        self._new.clear()

    def undo(self) -> None:
        """Forget what was noted, written or not."""
        self._journal.undo()
        self._new.clear()

    def close_generation(self) -> None:
        """Have room for nothing more before `start_again`."""
        self._journal.close_generation()

    def start_again(self, generation: int) -> None:
        """Know nothing: the tables have it all. The journal begins another generation."""
        self._journal.start_again(generation)
        self._known = Replay()
        self._new.clear()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def heard(records: Records) -> tuple[Replay, int]:
    """Return what records say, and how many octets among them say nothing."""
    known, wrong = Replay(), 0
    for payload in records.payloads():
        try:
            known.note(_decode(payload))
        except msgspec.MsgspecError:
            wrong += len(payload)
    return known, records.broken + wrong
