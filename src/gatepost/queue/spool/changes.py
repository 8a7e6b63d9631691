"""Changes of the recipients in a spool file: by an administrator, or because of their age.

Theory of operation
-------------------
A change is one transaction. It also adds a row to the table `change` for each message, with the
author. The owner of the file reads these rows, reports them, and deletes them afterwards
(`gatepost.queue.administration`). So a change is reported once it is durable, also one that was
made while no server ran, and at least once.

Only the owner of a file can add messages to it. A copy for another address is therefore a row of
the kind "forward" or "move" first. The owner stores the copy, and with "move" deletes the
recipients, in the transaction in which the row becomes "forwarded".

Nothing in the file is trusted: a value may have any type.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, get_args

import msgspec

from gatepost.ledger.records import Change as Kind
from gatepost.queue.spool.sql.database import as_json, as_text
from gatepost.queue.spool.sql.outcomes import clean_up

FORWARD, MOVE = "forward", "move"
_KINDS: Final = frozenset(get_args(Kind))

_NOTE = (
    "INSERT INTO change (time, kind, author, detail, message, ref, sender, recipients, rows)"
    " SELECT :time, :kind, :author, :detail, m.id, CAST(m.ref AS TEXT), CAST(m.sender AS TEXT),"
    " json_group_array(CAST(r.address AS TEXT)), json_group_array(r.id)"
    " FROM recipient r JOIN message m ON m.id = r.message"
    " WHERE r.id IN (SELECT value FROM json_each(:rows)) GROUP BY m.id"
)


class QueueChange(NamedTuple):
    """A change of recipients: `condition` selects the possible ones in SQL.

    The statements have the parameter `:rows`, the recipients' numbers in JSON, and may have those
    of `Order`. `kind` is that of the row in `change`, "" for none.
    """

    kind: str
    condition: str
    statements: tuple[str, ...]


class Order(msgspec.Struct, frozen=True):
    """The time of a change, the user who makes it, and details for the ledger.

    Released recipients expire at `expires`.
    """

    time: float
    author: str = ""
    detail: str = ""
    expires: float = 0.0


class Change(msgspec.Struct, frozen=True):
    """A change of one message that was made."""

    kind: Kind
    author: str
    detail: str
    ref: str
    sender: str
    recipients: Sequence[str]


class Copy(msgspec.Struct, frozen=True):
    """A copy that is to be stored: of a message, for `detail`, the facts of a recipient in JSON.

    With `moves`, the recipients with the numbers `rows` are deleted.
    """

    number: int
    message: int
    detail: str
    moves: bool
    rows: Sequence[int]


# The time of arrival: due even if the clock was set back.
_DUE = (
    "UPDATE recipient SET due = (SELECT received FROM message WHERE id = recipient.message),"
    " holder = '', held = NULL WHERE id IN (SELECT value FROM json_each(:rows))"
)
_REOPEN = (
    "INSERT INTO destination (name, due) SELECT DISTINCT destination, 0 FROM recipient"
    " WHERE id IN (SELECT value FROM json_each(:rows)) ON CONFLICT (name) DO UPDATE SET due = 0"
)
_RELEASE = (
    "UPDATE message SET expires = :expires, event = :expires WHERE id IN"
    " (SELECT message FROM recipient WHERE id IN (SELECT value FROM json_each(:rows)))"
)
_HOLD = (
    "UPDATE recipient SET due = NULL, reason = 'held by the administrator', held = :time"
    " WHERE id IN (SELECT value FROM json_each(:rows))"
)
_REMOVE = "DELETE FROM recipient WHERE id IN (SELECT value FROM json_each(:rows))"

RETRY = QueueChange("", "r.due IS NOT NULL", (_DUE, _REOPEN))
RELEASE = QueueChange("released", "r.due IS NULL", (_RELEASE, _DUE, _REOPEN))
HOLD = QueueChange("held", "r.due IS NOT NULL", (_HOLD,))
REMOVE = QueueChange("removed", "1", (_REMOVE,))
EXPIRE = QueueChange("expired", "r.holder != ''", (_REMOVE,))
LEARN = QueueChange("learned", "1", ())
COPY = QueueChange(FORWARD, "1", ())
MOVE_AWAY = QueueChange(MOVE, "r.due IS NULL", ())


def apply_change(
    connection: sqlite3.Connection,
    change: QueueChange,
    order: Order,
    messages: set[int],
    rows: Iterable[int],
) -> None:
    """Change recipients of these messages, in an open transaction; raises sqlite3.Error."""
    values = {"rows": as_json(rows), "kind": change.kind} | msgspec.to_builtins(order)
    if change.kind:
        connection.execute(_NOTE, values)
    for statement in change.statements:
        connection.execute(statement, values)
    clean_up(connection, messages)


def past_keeping(
    connection: sqlite3.Connection, before: float, limit: int
) -> list[tuple[int, int]]:
    """Return messages and recipients in quarantine that were held before a time."""
    return connection.execute(
        "SELECT message, id FROM recipient WHERE holder != '' AND held < ? ORDER BY held LIMIT ?",
        (before, limit),
    ).fetchall()


# The rows of the table `change`


def read_copies(connection: sqlite3.Connection, limit: int) -> list[Copy]:
    """Return copies that are to be stored."""
    rows = connection.execute(
        "SELECT id, message, detail, kind, rows FROM change WHERE kind IN (?, ?) LIMIT ?",
        (FORWARD, MOVE, limit),
    )
    return [
        Copy(number, message, as_text(detail), kind == MOVE, _list(rows, int))
        for number, message, detail, kind, rows in rows
    ]


def finish_copy(connection: sqlite3.Connection, number: int, kind: Kind, detail: str) -> None:
    """Note the end of a copy."""
    connection.execute(
        "UPDATE change SET kind = ?, detail = ? WHERE id = ?", (kind, detail, number)
    )


def read_changes(connection: sqlite3.Connection, limit: int) -> tuple[int, list[Change]]:
    """Return the number of the last row, and the changes up to it that were made.

    Rows of an unknown kind are damaged, and left out.
    """
    rows = connection.execute(
        "SELECT id, kind, author, detail, ref, sender, recipients FROM change"
        " WHERE kind NOT IN (?, ?) ORDER BY id LIMIT ?",
        (FORWARD, MOVE, limit),
    ).fetchall()
    found = [
        Change(
            kind,
            as_text(author),
            as_text(detail),
            as_text(ref),
            as_text(sender),
            _list(recipients, str),
        )
        for _, kind, author, detail, ref, sender, recipients in rows
        if kind in _KINDS
    ]
    return (rows[-1][0] if rows else 0), found


def delete_changes(connection: sqlite3.Connection, last: int) -> None:
    """Delete the rows of changes that were made, up to a number."""
    connection.execute(
        "DELETE FROM change WHERE id <= ? AND kind NOT IN (?, ?)", (last, FORWARD, MOVE)
    )


def has_changes(connection: sqlite3.Connection) -> bool:
    """Return whether there are changes to make or to report."""
    return connection.execute("SELECT 1 FROM change LIMIT 1").fetchone() is not None


def _list(text: object, kind: type) -> list[Any]:
    """Return a list in JSON, without what is not of this type; a damaged one is empty."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return []
    return [one for one in found if type(one) is kind] if isinstance(found, list) else []
