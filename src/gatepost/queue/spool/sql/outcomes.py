"""Recording the outcome of attempts, and cleaning up after it.

Each SQLite statement releases the interpreter lock and has to get it back. With a busy event loop,
this is most of its cost. Delivered recipients are therefore collected and deleted together, in a
few statements at the end of the transaction.
"""

import sqlite3
from collections.abc import Iterable

from gatepost.queue.spool.records import AttemptResult
from gatepost.queue.spool.sql.content import CHUNK, delete_content
from gatepost.queue.spool.sql.database import as_json
from gatepost.queue.spool.sql.schema import CHUNK_BITS

_DEFER = "UPDATE recipient SET due = ?, attempts = attempts + 1, reply = ?, reason = ? WHERE id = ?"
_HOLD = "UPDATE recipient SET due = NULL, reply = ?, reason = ? WHERE id = ?"
_RECIPIENTS = "DELETE FROM recipient WHERE id IN (SELECT value FROM json_each(?))"
_LEFT = (
    "SELECT message, count(due) FROM recipient"
    " WHERE message IN (SELECT value FROM json_each(?)) GROUP BY message"
)
_SHORT = (
    "SELECT id FROM message WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - a number
    f" AND typeof(size) = 'integer' AND size BETWEEN 0 AND {CHUNK}"
)
_CONTENT = "DELETE FROM content WHERE id IN (SELECT value FROM json_each(?))"
_MESSAGES = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?))"
_NO_EVENT = "UPDATE message SET event = NULL WHERE id IN (SELECT value FROM json_each(?))"


def write_undelivered(connection: sqlite3.Connection, result: AttemptResult) -> None:
    """Write the deferred and held recipients of an attempt, and the next event of its message.

    Rows that an administrator has removed are not created again. Raises sqlite3.Error.
    """
    connection.executemany(
        _DEFER, [(one.due, one.reply, one.reason, one.id) for one in result.deferred]
    )
    connection.executemany(_HOLD, [(one.reply, one.reason, one.id) for one in result.held])
    if result.event is not None:
        connection.execute(
            "UPDATE message SET event = ?, expires = min(expires, ?) WHERE id = ?",
            (result.event, result.expires, result.message),
        )


class DeliveredRecipients:
    """The delivered recipients of a transaction, and their messages."""

    def __init__(self) -> None:
        self._recipients: list[int] = []
        self._messages: set[int] = set()

    def add(self, message: int, recipients: Iterable[int]) -> None:
        """Add recipients of a message."""
        self._messages.add(message)
        self._recipients += recipients

    def clear(self) -> None:
        """Drop all of them."""
        self._recipients.clear()
        self._messages.clear()

    def delete(self, connection: sqlite3.Connection) -> None:
        """Delete their rows, and the messages without recipients."""
        if not self._messages:
            return
        connection.execute(_RECIPIENTS, _list(self._recipients))
        clean_up(connection, self._messages)
        self.clear()


def clean_up(connection: sqlite3.Connection, messages: set[int]) -> None:
    """Delete those of the messages that have no recipients.

    A message with held recipients only has no event.
    """
    left = dict(connection.execute(_LEFT, _list(messages)))
    held = [message for message, queued in left.items() if not queued]
    if held:
        connection.execute(_NO_EVENT, _list(held))
    gone = messages - left.keys()
    if gone:
        _delete_messages(connection, gone)


def _delete_messages(connection: sqlite3.Connection, messages: set[int]) -> None:
    """Delete messages with their content, even if the envelope is damaged."""
    short = {message for (message,) in connection.execute(_SHORT, _list(messages))}
    for message in messages - short:
        delete_content(connection, message)
    connection.execute(_CONTENT, _list(message << CHUNK_BITS for message in short))
    connection.execute(_MESSAGES, _list(messages))


def _list(numbers: Iterable[int]) -> tuple[str]:
    return (as_json(numbers),)


def elapsed_messages(
    connection: sqlite3.Connection, now: float, horizon: float, limit: int
) -> list[int]:
    """Return messages whose `event` is due, or is beyond `horizon` because of a wrong clock."""
    rows = connection.execute(
        "SELECT id FROM (SELECT id FROM message WHERE event <= ? ORDER BY event LIMIT ?)"
        " UNION ALL SELECT id FROM (SELECT id FROM message WHERE event > ? LIMIT ?)",
        (now, limit, horizon, limit),
    )
    return [message for (message,) in rows]
