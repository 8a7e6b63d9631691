"""One open spool file: a connection, what is remembered of it, and what can be asked of it.

Everything here runs in the writer's thread, between a `begin` and a `commit` of the writer's.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from gatepost.delivery.spool.content import Reader
from gatepost.delivery.spool.database import connect, open_file
from gatepost.delivery.spool.done import Done, tidy
from gatepost.delivery.spool.marks import Marks
from gatepost.delivery.spool.put import as_work, put
from gatepost.delivery.spool.records import Held, Parcel, Settlement, Work
from gatepost.delivery.spool.settle import elapsed, settle
from gatepost.delivery.spool.take import Claims, Damage, due_messages, read_message, read_work


class Taken(msgspec.Struct, frozen=True, eq=False):
    """Work, and what could not be read: that is held now, with the reason."""

    works: list[Work]
    damaged: list[Damage]


class Store:
    """A spool file; makes it if it is not there. Raises OSError, sqlite3.Error, `VersionError`.

    One that was closed is opened again by `begin`: a disk may come back.

    `size` is how many octets the file may have, `horizon` the longest any attempt is put off, in
    seconds, `opens` says of a destination before when it is not to be looked at (0: at any time).
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
        self._open()

    def _open(self) -> None:
        self.connection = open_file(self.path, self._size)
        try:
            self.reader = Reader(connect(self.path))
        except BaseException:
            self.connection.close()
            raise
        self.marks = Marks(self.connection)
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
        self.connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo it."""
        self._done.clear()
        self._changed.clear()
        self.marks.forget()
        if self._is_open and self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._is_open = False
        self.reader.close()
        self.connection.close()

    def put(self, parcel: Parcel) -> int:
        """Store a message and return its number; raises `DeliveryError` or sqlite3.Error."""
        return put(self.connection, self.marks, parcel, self._opens).message

    def post(self, parcel: Parcel, now: float) -> list[Work]:
        """Store a message and return what of it is to be delivered now; raises as `put`."""
        placed = put(self.connection, self.marks, parcel, self._opens)
        return as_work(parcel, placed, now)

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
        self.settle(Settlement(damage.message, damage.destinations, held=held))

    def settle(self, settlement: Settlement) -> None:
        """Write down what has become of a message; raises sqlite3.Error.

        Where all is done the mark of the destination may stay too early, which costs a look.
        """
        self._done.add(settlement.message, settlement.done)
        if not settlement.is_simple:
            settle(self.connection, self.marks, settlement, self._opens)
            self._changed.update(settlement.destinations)

    def move(self, ids: Sequence[int], old: str, new: str) -> None:
        """Have recipients at another destination than before."""
        self.connection.executemany(
            "UPDATE recipient SET destination = ? WHERE id = ?", [(new, one) for one in ids]
        )
        for name in (old, new):
            self.marks.refresh(name, self._opens(name))

    def is_empty(self) -> bool:
        """Whether there is no message, queued or held."""
        return self.connection.execute("SELECT 1 FROM message LIMIT 1").fetchone() is None
