"""One open spool file: a connection, what is remembered of it, and what can be asked of it.

Everything here runs in the writer's thread, between a `begin` and a `commit` of the writer's.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from gatepost.queue.spool.content import Reader
from gatepost.queue.spool.corrupt import journal_of
from gatepost.queue.spool.database import connect, open_file
from gatepost.queue.spool.destinations import Destinations
from gatepost.queue.spool.done import Done, tidy
from gatepost.queue.spool.generation import current_generation, next_generation
from gatepost.queue.spool.journal import CAPACITY
from gatepost.queue.spool.memtable import MAX_CONTENT, Memtable
from gatepost.queue.spool.put import Numbers, Placed, Tables, as_work, check_size
from gatepost.queue.spool.records import AttemptResult, Held, NewMessage, Work
from gatepost.queue.spool.settle import elapsed, settle
from gatepost.queue.spool.take import Claims, Damage, due_messages, read_message, read_work


class Taken(msgspec.Struct, frozen=True, eq=False):
    """Work, and what could not be read: that is held now, with the reason."""

    works: list[Work]
    damaged: list[Damage]


class Store:
    """A spool file; makes it if it is not there. Raises OSError, sqlite3.Error, `VersionError`.

    One that was closed is opened again by `begin`: a disk may come back.

    `size` is how many octets the file and its journal may have, `horizon` the longest any attempt
    is put off, in seconds, `opens` says of a destination before when it is not to be looked at (0:
    at any time).
    """

    def __init__(
        self, path: Path, *, size: int, horizon: float, opens: Callable[[str], float]
    ) -> None:
        self.path = path
        self._size = size
        self._done = Done()
        self._changed: set[str] = set()
        self._horizon = horizon
        self._opens = opens
        self._next: int | None = None
        self._open()

    def _open(self) -> None:
        capacity = min(CAPACITY, self._size // 4)
        journal = journal_of(self.path)
        with ExitStack() as stack:
            self.connection = open_file(self.path, self._size - capacity)
            stack.callback(self.connection.close)
            self.reader = Reader(connect(self.path))
            stack.callback(self.reader.close)
            generation = current_generation(self.connection, journal)
            self._fresh = Memtable.open(journal, generation, capacity)
            stack.callback(self._fresh.close)
            self.marks = Destinations(self.connection)
            numbers = Numbers(self.connection, self._fresh.numbers)
            self._tables = Tables(self.connection, self.marks, numbers, self._opens)
            self._files = stack.pop_all()
        self._is_open = True

    def begin(self) -> None:
        """Begin a transaction; raises sqlite3.Error, and what opening a file raises."""
        if not self._is_open:
            self.path.stat()  # numbers of messages would mean others in a new one
            self._open()
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make it durable; it is when this returns."""
        self._done.forget(self.connection)
        for name in self._changed:
            self.marks.refresh(name, self._opens(name))
        self._changed.clear()
        if self._next is None:
            self._fresh.write()
            self.connection.execute("COMMIT")
            self._fresh.keep()
        else:
            self.connection.execute("COMMIT")
            self._fresh.start_again(self._next)
            self._next = None

    def roll_back(self) -> None:
        """Undo it."""
        self._done.clear()
        self._changed.clear()
        self.marks.forget()
        if self._is_open:
            self._fresh.undo()
            if self._next is not None:
                # A commit that has failed may be on the disk all the same, and come alive after a
                # crash: what is in the journal after it would be of no generation.
                self._fresh.close_generation()
        self._next = None
        if self._is_open and self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        self._files.close()

    def put(self, new_message: NewMessage) -> int:
        """Store a message and return its number; raises `DeliveryError` or sqlite3.Error."""
        return self._tables.put(new_message).place.message

    def post(self, new_message: NewMessage, now: float) -> list[Work]:
        """Store a message and return what of it is to be delivered now; raises as `put`."""
        return as_work(new_message, self._tables.put(new_message), now)

    def post_fresh(self, new_message: NewMessage, now: float) -> list[Work]:
        """Do the same, in the journal if it is short and there is room.

        It has to be delivered at once: what is not is found with the next `absorb`.
        """
        if new_message.size > MAX_CONTENT or self._next is not None:
            return self.post(new_message, now)
        content = b"".join(new_message.pieces)
        check_size(new_message, len(content))
        placed = Placed(self._tables.numbers.place(new_message), content, None)
        if not self._fresh.put(new_message, placed):
            self.absorb()
            self._tables.put_at(
                placed.place, msgspec.structs.replace(new_message, pieces=[content])
            )
        return as_work(new_message, placed, now)

    def absorb(self) -> None:
        """Move what is left in the journal to the tables, begin it anew; raises sqlite3.Error."""
        if self._fresh.is_unused or self._next is not None:
            return
        for new_message, place in self._fresh.left():
            self._tables.put_at(place, new_message)
        self._next = next_generation(self.connection)

    def take(self, now: float, total: int, claims: Claims) -> Taken:
        """Return what is to be delivered now, at most `total` messages."""
        horizon = now + self._horizon
        found = due_messages(
            self.connection, self.marks, claims, now=now, horizon=horizon, total=total
        )
        return self._read(
            partial(read_work, self.connection, message, name, now, horizon)
            for name, message in found
        )

    def elapsed(self, now: float, horizon: float, limit: int) -> Taken:
        """Return messages whose `event` has come, with all their queued recipients.

        A time beyond `horizon` comes from a clock that was wrong, and counts as come.
        """
        messages = elapsed(self.connection, now, horizon, limit)
        return self._read(partial(self._read_queued, message) for message in messages)

    def _read_queued(self, message: int) -> Work | None:
        rows = self.connection.execute(
            "SELECT id, facts, destination, attempts, reply, reason FROM recipient"
            " WHERE message = ? AND due IS NOT NULL",
            (message,),
        ).fetchall()
        if not rows:
            tidy(self.connection, {message})
            return None
        return read_message(self.connection, message, rows)

    def _read(self, readings: Iterable[Callable[[], Work | None]]) -> Taken:
        works, damaged = list[Work](), list[Damage]()
        for read in readings:
            try:
                work = read()
            except Damage as damage:
                damaged.append(damage)
                self._set_aside(damage)
            else:
                works += [] if work is None else [work]
        return Taken(works, damaged)

    def _set_aside(self, damage: Damage) -> None:
        held = [Held(one, "", f"damaged: {damage.problem}") for one in damage.ids]
        self.settle(AttemptResult(damage.message, damage.destinations, held=held))

    def settle(self, settlement: AttemptResult) -> None:
        """Write down what has become of a message; raises sqlite3.Error.

        Where all is done the mark of the destination may stay too early, which costs a look.
        """
        if self._is_fresh(settlement.message):
            if settlement.is_simple and self._fresh.done(settlement.done):
                return
            self.absorb()
        self._done.add(settlement.message, settlement.done)
        if not settlement.is_simple:
            settle(self.connection, settlement, self._tables)
            self._changed.update(settlement.destinations)

    def _is_fresh(self, message: int) -> bool:
        return self._next is None and message in self._fresh

    def move(self, ids: Sequence[int], old: str, new: str) -> None:
        """Have recipients at another destination than before."""
        self.absorb()
        self.connection.executemany(
            "UPDATE recipient SET destination = ? WHERE id = ?", [(new, one) for one in ids]
        )
        for name in (old, new):
            self.marks.refresh(name, self._opens(name))

    def is_empty(self) -> bool:
        """Whether there is no message, queued or held."""
        self.absorb()
        return self.connection.execute("SELECT 1 FROM message LIMIT 1").fetchone() is None
