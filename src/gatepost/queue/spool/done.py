"""Forgetting what has been delivered: all of a group of settlements in a few statements.

Each statement of SQLite lets go of the interpreter's lock and has to have it back, which is most of
what it costs while the event loop is busy. So what is done with is collected and forgotten in one
go, at the end of the transaction.
"""

import sqlite3
from collections.abc import Iterable

from gatepost.queue.spool.content import CHUNK, delete_content
from gatepost.queue.spool.database import as_json
from gatepost.queue.spool.schema import CHUNK_BITS

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


class Done:
    """Recipients that have their mail, and messages that may be nobody's any more."""

    def __init__(self) -> None:
        self._recipients: list[int] = []
        self._messages: set[int] = set()

    def add(self, message: int, recipients: Iterable[int]) -> None:
        """Take note of recipients of a message."""
        self._messages.add(message)
        self._recipients += recipients

    def clear(self) -> None:
        """Take note of nothing."""
        self._recipients.clear()
        self._messages.clear()

    def forget(self, connection: sqlite3.Connection) -> None:
        """Delete all of it, with the messages that nobody is to have any more."""
        if not self._messages:
            return
        connection.execute(_RECIPIENTS, _list(self._recipients))
        tidy(connection, self._messages)
        self.clear()


def tidy(connection: sqlite3.Connection, messages: set[int]) -> None:
    """Forget those of some messages that nobody is to have any more.

    One that is only held has no events.
    """
    left = dict(connection.execute(_LEFT, _list(messages)))
    held = [message for message, queued in left.items() if not queued]
    if held:
        connection.execute(_NO_EVENT, _list(held))
    gone = messages - left.keys()
    if gone:
        _forget_messages(connection, gone)


def _forget_messages(connection: sqlite3.Connection, messages: set[int]) -> None:
    """Delete messages with their content, also where the envelope is damaged."""
    short = {message for (message,) in connection.execute(_SHORT, _list(messages))}
    for message in messages - short:
        delete_content(connection, message)
    connection.execute(_CONTENT, _list(message << CHUNK_BITS for message in short))
    connection.execute(_MESSAGES, _list(messages))


def _list(numbers: Iterable[int]) -> tuple[str]:
    return (as_json(numbers),)
