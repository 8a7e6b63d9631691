"""The administrator's commands on the spool, with or without running workers.

A message is named by its file number and its own number, `1-17`, or by its reference. Changes are
made in portions, so that a worker does not wait long. Workers notice them within a second. A
message that is being delivered may still arrive after it was held or removed.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gatepost.queue.spool.changes import Order, QueueChange, apply_change
from gatepost.queue.spool.depth import Depth, DepthCounts
from gatepost.queue.spool.folder import files, is_owned
from gatepost.queue.spool.sql.content import ContentReader
from gatepost.queue.spool.sql.database import as_json, connect
from gatepost.queue.spool.sql.schema import VERSION, DamagedFileError, VersionError, column
from gatepost.queue.spool.sql.wal import wal_damage

# Recipients that are changed in one transaction.
PORTION = 2000


class Selection(msgspec.Struct, frozen=True):
    """The recipients that match all given conditions (None: not given).

    `names` are messages, as numbers or references, `rows` recipients as "file-row". In addresses,
    `*` matches any characters. `sender` is "" for the null reverse-path. `state` is "queued" or
    "held". `plugin` is the plugin that has put the message into quarantine. It was held at `since`
    or later, and at `before` or earlier.
    """

    names: Sequence[str] = ()
    rows: Sequence[str] | None = None
    destination: str | None = None
    recipient: str | None = None
    sender: str | None = None
    state: str | None = None
    reason: str | None = None
    plugin: str | None = None
    before: float | None = None
    since: float | None = None

    @property
    def is_everything(self) -> bool:
        """Return whether there is no condition."""
        return self == Selection()


class QueueEntry(NamedTuple):
    """A recipient in the spool; times are seconds since the epoch, `due` is None if it is held.

    `name` is the name of its message, `row` its own number. `holder` is the plugin that has put it
    into quarantine, "" if it is not there; `held` is when it was held, None if that is unknown.
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
    holder: str = ""
    held: float | None = None

    @property
    def state(self) -> str:
        """The state, "queued" or "held"."""
        return "held" if self.due is None else "queued"


class OpenedMessage(NamedTuple):
    """The facts (JSON) and the content of a message, which can be read once; `size` is its size."""

    facts: str
    pieces: Iterator[bytes]
    size: int


_ENTRIES = (
    "SELECT m.id, m.ref, m.sender, m.size, m.received, m.expires, r.id, r.address, r.destination,"
    " r.due, r.attempts, r.reply, r.reason, coalesce({holder}, ''),"
    " {held} FROM recipient r JOIN message m ON m.id = r.message"
)
_NAMED = (
    "SELECT id FROM message WHERE id IN (SELECT value FROM json_each(?))"
    " UNION SELECT id FROM message WHERE ref IN (SELECT value FROM json_each(?))"
)
# The columns of `recipient` that files of earlier versions lack.
_LATER = ("holder", "held")
_STATES = {"queued": "r.due IS NOT NULL", "held": "r.due IS NULL"}


def _pattern(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text.replace("*", "%")


# The conditions in SQL by the field of a selection, and what makes the value of its placeholder.
_CONDITIONS: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "destination": ("r.destination = ?", str),
    "recipient": (r"r.address LIKE ? ESCAPE '\'", _pattern),
    "sender": (r"m.sender LIKE ? ESCAPE '\'", _pattern),
    "reason": (r"r.reason LIKE ? ESCAPE '\'", _pattern),
    "plugin": (r"r.holder != '' AND r.holder LIKE ? ESCAPE '\'", _pattern),
    "before": ("r.due IS NULL AND coalesce(r.held, m.received) <= ?", float),
    "since": ("r.held >= ?", float),
}


def entries(
    folder: Path,
    selection: Selection,
    limit: int,
    after: str = "",
    *,
    change: QueueChange | None = None,
) -> Iterator[QueueEntry]:
    """Yield at most `limit` recipients, message by message, after the message `after`.

    With `change` only those that it can change. Raises sqlite3.Error with the path as a note, and
    `VersionError`.
    """
    for number, connection in _connections(folder):
        where, values = _conditions(connection, selection, number)
        first = _first_after(after, number)
        possible = "1" if change is None else change.condition
        query = _ENTRIES.format(**{one: column(connection, "recipient", one) for one in _LATER})
        rows = connection.execute(
            f"{query} WHERE r.message > ? AND {where} AND {possible}"
            " ORDER BY r.message, r.id LIMIT ?",
            (first, *values, limit),
        )
        for message, *rest in rows:
            limit -= 1
            yield QueueEntry(f"{number}-{message}", *rest)


def depth(folder: Path, now: float) -> Depth:
    """Return how much mail is in the spool; raises as `entries`."""
    counts = DepthCounts(now)
    for _, connection in _connections(folder):
        counts.add(connection)
    return counts.depth()


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
    if selection.rows is not None:
        rows = as_json(_numbers(selection.rows, number))
        found.append(("r.id IN (SELECT value FROM json_each(?))", [rows]))
    if selection.state is not None:
        found.append((_STATES[selection.state], []))
    for name, (sql, converted) in _CONDITIONS.items():
        value = getattr(selection, name)
        if value is not None:
            found.append((sql, [converted(value)]))
    where = " AND ".join(sql for sql, _ in found) or "1"
    return where, [value for _, values in found for value in values]


def _messages(connection: sqlite3.Connection, names: Sequence[str], number: int) -> list[int]:
    """Return the named messages of a file; a name is a number or a reference."""
    messages = as_json(_numbers(names, number))
    references = as_json(name for name in names if _number(name) is None)
    return [message for (message,) in connection.execute(_NAMED, (messages, references))]


def _numbers(names: Sequence[str], number: int) -> set[int]:
    """Return the numbers of messages or recipients in a file."""
    found = {one for name in names if (one := _number(name)) is not None}
    return {one for file, one in found if file == number}


def _number(name: str) -> tuple[int, int] | None:
    file, dash, message = name.partition("-")
    is_number = dash and file.isdecimal() and message.isdecimal()
    return (int(file), int(message)) if is_number else None


@contextmanager
def open_message(folder: Path, name: str) -> Iterator["OpenedMessage | None"]:
    """Yield a message, None if it does not exist."""
    for number, connection in _connections(folder):
        for message in _messages(connection, [name], number):
            digest = column(connection, "message", "digest")
            facts, size, expected = connection.execute(
                f"SELECT facts, size, {digest} FROM message WHERE id = ?",  # noqa: S608 - a constant
                (message,),
            ).fetchone()
            pieces = ContentReader(connection).pieces(message, size, digest=expected)
            yield OpenedMessage(facts, pieces, size)
            return
    yield None


def apply(
    folder: Path,
    selection: Selection,
    change: QueueChange,
    expires: float,
    *,
    author: str = "",
    detail: str = "",
) -> Iterator[int]:
    """Change the selected recipients in portions; yield the size of each portion.

    Released recipients expire at `expires`. `author` and `detail` are for the ledger. Raises
    sqlite3.Error and `VersionError`; earlier portions stay changed.
    """
    order = Order(time.time(), author, detail, expires)
    for number, connection in _connections(folder):
        _check_current(connection, number)
        after = 0
        while portion := _portion(connection, selection, change, number, after):
            messages = {message for message, _ in portion}
            connection.execute("BEGIN IMMEDIATE")
            apply_change(connection, change, order, messages, [row for _, row in portion])
            connection.execute("COMMIT")
            after = portion[-1][1]
            yield len(portion)


def _check_current(connection: sqlite3.Connection, number: int) -> None:
    """Raise `VersionError` for a file of an earlier version, which lacks columns."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found < VERSION:
        problem = f"expected version {VERSION}, found {found}"
        raise VersionError(f"{number}.db: {problem}: start the server, which upgrades the file")


def _portion(
    connection: sqlite3.Connection,
    selection: Selection,
    change: QueueChange,
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
