"""What an administrator asks of the spool, beside workers that run or without them.

A message is named by the number of its file and its own, `1-17`, or by its reference. Changes are
made in portions, so that no worker waits for long; workers see them at their next look, within a
second. What is on its way just now may still be delivered after it was held or removed.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost.delivery.spool.content import Reader
from gatepost.delivery.spool.database import connect
from gatepost.delivery.spool.done import tidy
from gatepost.delivery.spool.folder import files
from gatepost.delivery.spool.schema import VERSION, VersionError, has_digests

# Recipients that are changed in one transaction.
PORTION = 500


class Chosen(msgspec.Struct, frozen=True):
    """Which recipients are meant: all that every condition that is given (not None) names.

    `names` are messages, as numbers or references. In addresses `*` stands for any characters;
    `sender` is "" for the null reverse-path, `state` "queued" or "held".
    """

    names: Sequence[str] = ()
    destination: str | None = None
    recipient: str | None = None
    sender: str | None = None
    state: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether there is no condition."""
        return self == Chosen()


class Entry(NamedTuple):
    """A recipient in the spool; times are seconds since the epoch, `due` is None while it is held.

    `name` is its message's, `row` its own number.
    """

    name: str
    ref: str
    sender: str
    size: int
    received: float
    expires: float
    row: int
    recipient: str
    destination: str
    due: float | None
    attempts: int
    reply: str
    reason: str

    @property
    def state(self) -> str:
        """Whether it is "queued" or "held"."""
        return "held" if self.due is None else "queued"


_ENTRIES = (
    "SELECT m.id, m.ref, m.sender, m.size, m.received, m.expires, r.id, r.address, r.destination,"
    " r.due, r.attempts, r.reply, r.reason FROM recipient r JOIN message m ON m.id = r.message"
)
_STATES = {"queued": "r.due IS NOT NULL", "held": "r.due IS NULL"}


def entries(folder: Path, chosen: Chosen, limit: int, after: str = "") -> Iterator[Entry]:
    """Yield recipients, message by message, at most `limit`, from behind the message `after` on.

    Raises sqlite3.Error, naming the file, and `VersionError`.
    """
    for number, connection in _connections(folder):
        where, values = _conditions(chosen, number)
        first = _first_after(after, number)
        rows = connection.execute(
            f"{_ENTRIES} WHERE r.message > ? AND {where} ORDER BY r.message, r.id LIMIT ?",
            (first, *values, limit),
        )
        for message, *rest in rows:
            limit -= 1
            yield Entry(f"{number}-{message}", *rest)


def _first_after(after: str, number: int) -> int:
    file, message = _number(after) or (0, 0)
    if number == file:
        return message
    return 0 if number > file else 1 << 62


def _connections(folder: Path) -> Iterator[tuple[int, sqlite3.Connection]]:
    """Connect to each file; one that a server removes or makes just now has nothing in it."""
    for path in files(folder):
        try:
            with closing(connect(path)) as connection:
                if _has_tables(connection, path):
                    yield int(path.stem), connection
        except sqlite3.Error as error:
            if path.exists():
                error.add_note(str(path))
                raise


def _has_tables(connection: sqlite3.Connection, path: Path) -> bool:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise VersionError(f"{path}: expected version {VERSION} or less, found {found}")
    return bool(found)


def _conditions(chosen: Chosen, number: int) -> tuple[str, list[object]]:
    """Return what a row has to meet, in SQL, and the values in it."""
    found: list[tuple[str, list[object]]] = []
    if chosen.names:
        found.append(_named(chosen.names, number))
    if chosen.destination is not None:
        found.append(("r.destination = ?", [chosen.destination]))
    if chosen.recipient is not None:
        found.append((r"r.address LIKE ? ESCAPE '\'", [_pattern(chosen.recipient)]))
    if chosen.sender is not None:
        found.append((r"m.sender LIKE ? ESCAPE '\'", [_pattern(chosen.sender)]))
    if chosen.state is not None:
        found.append((_STATES[chosen.state], []))
    where = " AND ".join(sql for sql, _ in found) or "1"
    return where, [value for _, values in found for value in values]


def _named(names: Sequence[str], number: int) -> tuple[str, list[object]]:
    numbers = {found for name in names if (found := _number(name)) is not None}
    messages = [message for file, message in numbers if file == number]
    references = [name for name in names if _number(name) is None]
    marks = ", ".join("?" * len(messages)), ", ".join("?" * len(references))
    return f"(m.id IN ({marks[0]}) OR m.ref IN ({marks[1]}))", [*messages, *references]


def _number(name: str) -> tuple[int, int] | None:
    file, dash, message = name.partition("-")
    is_number = dash and file.isdecimal() and message.isdecimal()
    return (int(file), int(message)) if is_number else None


def _pattern(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text.replace("*", "%")


@contextmanager
def opened(folder: Path, name: str) -> Iterator[tuple[str, Iterator[bytes]] | None]:
    """Give the facts (JSON) of a message and its content in pieces; None if it is not there."""
    for number, connection in _connections(folder):
        where, values = _named([name], number)
        digest = "m.digest" if has_digests(connection) else "NULL"
        row = connection.execute(
            f"SELECT m.id, m.facts, m.size, {digest} FROM message m WHERE {where}",  # noqa: S608 - likewise
            values,
        ).fetchone()
        if row is not None:
            message, facts, size, expected = row
            yield facts, Reader(connection).pieces(message, size, digest=expected)
            return
    yield None


def change(folder: Path, chosen: Chosen, what: "Change", expires: float) -> int:
    """Change recipients; return how many. What is released is given up at `expires`.

    Raises sqlite3.Error and `VersionError`; what was changed before stays so.
    """
    count = 0
    for number, connection in _connections(folder):
        after = 0
        while portion := _portion(connection, chosen, what, number, after):
            connection.execute("BEGIN IMMEDIATE")
            for message, row in portion:
                what.apply(connection, message, row, expires)
            tidy(connection, {message for message, _ in portion})
            connection.execute("COMMIT")
            after = portion[-1][1]
            count += len(portion)
    return count


def _portion(
    connection: sqlite3.Connection, chosen: Chosen, what: "Change", number: int, after: int
) -> list[tuple[int, int]]:
    where, values = _conditions(chosen, number)
    return connection.execute(
        "SELECT m.id, r.id FROM recipient r JOIN message m ON m.id = r.message"  # noqa: S608 - likewise
        f" WHERE r.id > ? AND {what.of} AND {where} ORDER BY r.id LIMIT ?",
        (after, *values, PORTION),
    ).fetchall()


class Change(NamedTuple):
    """What can be done to a recipient, and to which: `of` is a condition in SQL."""

    of: str
    apply: Callable[[sqlite3.Connection, int, int, float], None]


def _retry(connection: sqlite3.Connection, message: int, row: int, _expires: float) -> None:
    """Have a recipient tried as if it had just come, even where nobody is tried at the moment."""
    connection.execute(
        "UPDATE recipient SET due = (SELECT received FROM message WHERE id = ?) WHERE id = ?",
        (message, row),
    )
    connection.execute(
        "INSERT INTO destination (name, due) SELECT destination, 0 FROM recipient WHERE id = ?"
        " ON CONFLICT (name) DO UPDATE SET due = 0",
        (row,),
    )


def _release(connection: sqlite3.Connection, message: int, row: int, expires: float) -> None:
    connection.execute(
        "UPDATE message SET expires = ?, event = ? WHERE id = ?", (expires, expires, message)
    )
    _retry(connection, message, row, expires)


def _hold(connection: sqlite3.Connection, _message: int, row: int, _expires: float) -> None:
    connection.execute(
        "UPDATE recipient SET due = NULL, reason = 'held by the administrator' WHERE id = ?", (row,)
    )


def _remove(connection: sqlite3.Connection, _message: int, row: int, _expires: float) -> None:
    connection.execute("DELETE FROM recipient WHERE id = ?", (row,))


RETRY = Change("r.due IS NOT NULL", _retry)
RELEASE = Change("r.due IS NULL", _release)
HOLD = Change("r.due IS NOT NULL", _hold)
REMOVE = Change("1", _remove)
