"""What an administrator asks of the spool, beside workers that run or without them.

A message is named by the number of its file and its own, `1-17`, or by its reference. Changes are
made in portions, so that no worker waits for long; workers see them at their next look, within a
second. What is on its way just now may still be delivered after it was held or removed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost.queue.spool.content import Reader
from gatepost.queue.spool.database import as_json, connect
from gatepost.queue.spool.done import tidy
from gatepost.queue.spool.folder import files
from gatepost.queue.spool.schema import VERSION, VersionError, has_digests

# Recipients that are changed in one transaction.
PORTION = 2000


class Selection(msgspec.Struct, frozen=True):
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
        return self == Selection()


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
_NAMED = (
    "SELECT id FROM message WHERE id IN (SELECT value FROM json_each(?))"
    " UNION SELECT id FROM message WHERE ref IN (SELECT value FROM json_each(?))"
)
_STATES = {"queued": "r.due IS NOT NULL", "held": "r.due IS NULL"}


def entries(folder: Path, chosen: Selection, limit: int, after: str = "") -> Iterator[Entry]:
    """Yield recipients, message by message, at most `limit`, from behind the message `after` on.

    Raises sqlite3.Error, naming the file, and `VersionError`.
    """
    for number, connection in _connections(folder):
        where, values = _conditions(connection, chosen, number)
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


def _conditions(
    connection: sqlite3.Connection, chosen: Selection, number: int
) -> tuple[str, list[object]]:
    """Return what a row has to meet, in SQL, and the values in it."""
    found: list[tuple[str, list[object]]] = []
    if chosen.names:
        messages = as_json(_messages(connection, chosen.names, number))
        found.append(("r.message IN (SELECT value FROM json_each(?))", [messages]))
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


def _messages(connection: sqlite3.Connection, names: Sequence[str], number: int) -> list[int]:
    """Return the messages of a file that are named, by number or reference."""
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
def opened(folder: Path, name: str) -> Iterator[tuple[str, Iterator[bytes]] | None]:
    """Give the facts (JSON) of a message and its content in pieces; None if it is not there."""
    for number, connection in _connections(folder):
        for message in _messages(connection, [name], number):
            digest = "digest" if has_digests(connection) else "NULL"
            facts, size, expected = connection.execute(
                f"SELECT facts, size, {digest} FROM message WHERE id = ?",  # noqa: S608 - our own
                (message,),
            ).fetchone()
            yield facts, Reader(connection).pieces(message, size, digest=expected)
            return
    yield None


def change(folder: Path, chosen: Selection, what: "Change", expires: float) -> Iterator[int]:
    """Change recipients; yield how many, again and again, while that is done.

    What is released is given up at `expires`.
    Raises sqlite3.Error and `VersionError`; what was changed before stays so.
    """
    for number, connection in _connections(folder):
        after = 0
        while portion := _portion(connection, chosen, what, number, after):
            messages = {message for message, _ in portion}
            rows = as_json(row for _, row in portion)
            connection.execute("BEGIN IMMEDIATE")
            for statement in what.statements:
                connection.execute(statement, {"rows": rows, "expires": expires})
            tidy(connection, messages)
            connection.execute("COMMIT")
            after = portion[-1][1]
            yield len(portion)


def _portion(
    connection: sqlite3.Connection, chosen: Selection, what: "Change", number: int, after: int
) -> list[tuple[int, int]]:
    where, values = _conditions(connection, chosen, number)
    # By number and by no index: else each portion is chosen out of all the others again.
    order = "" if chosen.names else "NOT INDEXED"
    return connection.execute(
        f"SELECT m.id, r.id FROM recipient r {order} CROSS JOIN message m ON m.id = r.message"  # noqa: S608 - our own, with places for values
        f" WHERE r.id > ? AND {what.of} AND {where} ORDER BY r.id LIMIT ?",
        (after, *values, PORTION),
    ).fetchall()


class Change(NamedTuple):
    """What can be done to recipients, and to which: `of` is a condition in SQL.

    The statements have `:rows`, the recipients' numbers in JSON, and may have `:expires`.
    """

    of: str
    statements: tuple[str, ...]


# As if it had just come, even where nobody is tried at the moment.
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

RETRY = Change("r.due IS NOT NULL", (_DUE, _REOPEN))
RELEASE = Change("r.due IS NULL", (_RELEASE, _DUE, _REOPEN))
HOLD = Change("r.due IS NOT NULL", (_HOLD,))
REMOVE = Change("1", (_REMOVE,))
