"""The administrator's commands on the spool, with or without running workers.

A message is named by its file number and its own number, `1-17`, or by its reference. Changes are
made in portions, so that a worker does not wait long. Workers notice them within a second. A
message that is being delivered may still arrive after it was held or removed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost.queue.spool.folder import files, is_owned
from gatepost.queue.spool.sql.content import ContentReader
from gatepost.queue.spool.sql.database import as_json, connect
from gatepost.queue.spool.sql.outcomes import clean_up
from gatepost.queue.spool.sql.schema import VERSION, DamagedFileError, VersionError, column
from gatepost.queue.spool.sql.wal import wal_damage

# Recipients that are changed in one transaction.
PORTION = 2000


class Selection(msgspec.Struct, frozen=True):
    """The recipients that match all given conditions (None: not given).

    `names` are messages, as numbers or references. In addresses, `*` matches any characters.
    `sender` is "" for the null reverse-path. `state` is "queued" or "held".
    """

    names: Sequence[str] = ()
    destination: str | None = None
    recipient: str | None = None
    sender: str | None = None
    state: str | None = None

    @property
    def is_everything(self) -> bool:
        """Return whether there is no condition."""
        return self == Selection()


class QueueEntry(NamedTuple):
    """A recipient in the spool; times are seconds since the epoch, `due` is None if it is held.

    `name` is the name of its message, `row` its own number.
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
        """The state, "queued" or "held"."""
        return "held" if self.due is None else "queued"


class Depth(NamedTuple):
    """The recipients for a destination; `oldest` is when the first of them was received."""

    destination: str
    queued: int
    held: int
    oldest: float


_DEPTHS = (
    "SELECT r.destination, count(r.due), count(*) - count(r.due), min(m.received)"
    " FROM recipient r JOIN message m ON m.id = r.message GROUP BY r.destination"
)
_ENTRIES = (
    "SELECT m.id, m.ref, m.sender, m.size, m.received, m.expires, r.id, r.address, r.destination,"
    " r.due, r.attempts, r.reply, r.reason FROM recipient r JOIN message m ON m.id = r.message"
)
_NAMED = (
    "SELECT id FROM message WHERE id IN (SELECT value FROM json_each(?))"
    " UNION SELECT id FROM message WHERE ref IN (SELECT value FROM json_each(?))"
)
_STATES = {"queued": "r.due IS NOT NULL", "held": "r.due IS NULL"}


def entries(
    folder: Path, selection: Selection, limit: int, after: str = ""
) -> Iterator[QueueEntry]:
    """Yield at most `limit` recipients, message by message, after the message `after`.

    Raises sqlite3.Error with the path as a note, and `VersionError`.
    """
    for number, connection in _connections(folder):
        where, values = _conditions(connection, selection, number)
        first = _first_after(after, number)
        rows = connection.execute(
            f"{_ENTRIES} WHERE r.message > ? AND {where} ORDER BY r.message, r.id LIMIT ?",
            (first, *values, limit),
        )
        for message, *rest in rows:
            limit -= 1
            yield QueueEntry(f"{number}-{message}", *rest)


def depths(folder: Path) -> list[Depth]:
    """Return how many recipients wait for each destination. Raises as `entries`."""
    found: dict[str, Depth] = {}
    for _, connection in _connections(folder):
        for row in connection.execute(_DEPTHS):
            more = Depth(*row)
            one = found.setdefault(more.destination, more._replace(queued=0, held=0))
            found[more.destination] = Depth(
                one.destination,
                one.queued + more.queued,
                one.held + more.held,
                min(one.oldest, more.oldest),
            )
    return list(found.values())


def _first_after(after: str, number: int) -> int:
    file, message = _number(after) or (0, 0)
    if number == file:
        return message
    return 0 if number > file else 1 << 62


def _connections(folder: Path) -> Iterator[tuple[int, sqlite3.Connection]]:
    """Connect to each file; one that is being created or removed is skipped."""
    for path in files(folder):
        try:
            _check_unowned(path)
            with closing(connect(path)) as connection:
                if _has_tables(connection, path):
                    yield int(path.stem), connection
        except sqlite3.Error as error:
            if path.exists():
                error.add_note(str(path))
                raise


def _check_unowned(path: Path) -> None:
    """Raise `DamagedFileError` for a file that its next owner has to recover.

    SQLite would drop the rest of a damaged WAL when the connection closes.
    """
    problem = "" if is_owned(path) else wal_damage(path)
    if problem:
        raise DamagedFileError(f"{problem}; start the server, which recovers the messages")


def _has_tables(connection: sqlite3.Connection, path: Path) -> bool:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise VersionError(f"{path}: expected version {VERSION} or less, found {found}")
    return bool(found)


def _conditions(
    connection: sqlite3.Connection, selection: Selection, number: int
) -> tuple[str, list[object]]:
    """Return a condition for rows in SQL, and its values."""
    found: list[tuple[str, list[object]]] = []
    if selection.names:
        messages = as_json(_messages(connection, selection.names, number))
        found.append(("r.message IN (SELECT value FROM json_each(?))", [messages]))
    if selection.destination is not None:
        found.append(("r.destination = ?", [selection.destination]))
    if selection.recipient is not None:
        found.append((r"r.address LIKE ? ESCAPE '\'", [_pattern(selection.recipient)]))
    if selection.sender is not None:
        found.append((r"m.sender LIKE ? ESCAPE '\'", [_pattern(selection.sender)]))
    if selection.state is not None:
        found.append((_STATES[selection.state], []))
    where = " AND ".join(sql for sql, _ in found) or "1"
    return where, [value for _, values in found for value in values]


def _messages(connection: sqlite3.Connection, names: Sequence[str], number: int) -> list[int]:
    """Return the named messages of a file; a name is a number or a reference."""
    numbers = {found for name in names if (found := _number(name)) is not None}
    messages = as_json(message for file, message in numbers if file == number)
    references = as_json(name for name in names if _number(name) is None)
    return [message for (message,) in connection.execute(_NAMED, (messages, references))]


def _number(name: str) -> tuple[int, int] | None:
    file, dash, message = name.partition("-")
    is_number = dash and file.isdecimal() and message.isdecimal()
    return (int(file), int(message)) if is_number else None


def _pattern(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text.replace("*", "%")


@contextmanager
def open_message(folder: Path, name: str) -> Iterator[tuple[str, Iterator[bytes]] | None]:
    """Yield the facts (JSON) and the content of a message, None if it does not exist."""
    for number, connection in _connections(folder):
        for message in _messages(connection, [name], number):
            digest = column(connection, "message", "digest")
            facts, size, expected = connection.execute(
                f"SELECT facts, size, {digest} FROM message WHERE id = ?",  # noqa: S608 - a constant
                (message,),
            ).fetchone()
            yield facts, ContentReader(connection).pieces(message, size, digest=expected)
            return
    yield None


def apply(
    folder: Path, selection: Selection, change: "QueueChange", expires: float
) -> Iterator[int]:
    """Change the selected recipients in portions; yield the size of each portion.

    Released recipients expire at `expires`. Raises sqlite3.Error and `VersionError`; earlier
    portions stay changed.
    """
    for number, connection in _connections(folder):
        after = 0
        while portion := _portion(connection, selection, change, number, after):
            messages = {message for message, _ in portion}
            rows = as_json(row for _, row in portion)
            connection.execute("BEGIN IMMEDIATE")
            for statement in change.statements:
                connection.execute(statement, {"rows": rows, "expires": expires})
            clean_up(connection, messages)
            connection.execute("COMMIT")
            after = portion[-1][1]
            yield len(portion)


def _portion(
    connection: sqlite3.Connection,
    selection: Selection,
    change: "QueueChange",
    number: int,
    after: int,
) -> list[tuple[int, int]]:
    where, values = _conditions(connection, selection, number)
    # In the order of numbers, without an index: otherwise each portion would sort all rows again.
    order = "" if selection.names else "NOT INDEXED"
    return connection.execute(
        f"SELECT m.id, r.id FROM recipient r {order} CROSS JOIN message m ON m.id = r.message"  # noqa: S608 - constants, with placeholders for values
        f" WHERE r.id > ? AND {change.condition} AND {where} ORDER BY r.id LIMIT ?",
        (after, *values, PORTION),
    ).fetchall()


class QueueChange(NamedTuple):
    """A change of recipients: `condition` selects the possible ones in SQL.

    The statements have the parameter `:rows`, the recipients' numbers in JSON, and may have
    `:expires`.
    """

    condition: str
    statements: tuple[str, ...]


# The time of arrival: due even if the clock was set back.
_DUE = (
    "UPDATE recipient SET due = (SELECT received FROM message WHERE id = recipient.message)"
    " WHERE id IN (SELECT value FROM json_each(:rows))"
)
_REOPEN = (
    "INSERT INTO destination (name, due) SELECT DISTINCT destination, 0 FROM recipient"
    " WHERE id IN (SELECT value FROM json_each(:rows))"
    " ON CONFLICT (name) DO UPDATE SET due = 0"
)
_RELEASE = (
    "UPDATE message SET expires = :expires, event = :expires WHERE id IN"
    " (SELECT message FROM recipient WHERE id IN (SELECT value FROM json_each(:rows)))"
)
_HOLD = (
    "UPDATE recipient SET due = NULL, reason = 'held by the administrator'"
    " WHERE id IN (SELECT value FROM json_each(:rows))"
)
_REMOVE = "DELETE FROM recipient WHERE id IN (SELECT value FROM json_each(:rows))"

RETRY = QueueChange("r.due IS NOT NULL", (_DUE, _REOPEN))
RELEASE = QueueChange("r.due IS NULL", (_RELEASE, _DUE, _REOPEN))
HOLD = QueueChange("r.due IS NOT NULL", (_HOLD,))
REMOVE = QueueChange("1", (_REMOVE,))
