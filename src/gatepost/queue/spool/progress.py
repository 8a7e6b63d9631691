"""Putting back what can be read of a damaged file, and how far that has come.

What is put back and the note that it was are one transaction of the new file: whoever goes on after
an interruption goes on behind it, so that no message comes twice. If the new file is damaged as
well its notes are gone with it, and the old one is read from its beginning.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from gatepost.queue.spool.salvage import Found
from gatepost.queue.spool.store import Store


class Progress(NamedTuple):
    """How far a file has been read, how many messages were put back, how many are not whole."""

    message: int = 0
    put_back: int = 0
    unreadable: int = 0


class ReplacedError(Exception):
    """The file that messages were put back into is not there any more."""


def progress(connection: sqlite3.Connection, name: str) -> Progress:
    """Return how far the file of that name has come."""
    row = connection.execute(
        "SELECT message, put_back, unreadable FROM salvage WHERE name = ?", (name,)
    ).fetchone()
    return Progress() if row is None else Progress(*row)


def put_back(store: Store, name: str, before: Progress, found: Sequence[Found]) -> Progress:
    """Put messages into a store that come behind `before`; return how far that is.

    Raises `ReplacedError` in a store that has not come there, and what `Store.put` raises.
    """
    if progress(store.connection, name) != before:
        raise ReplacedError(f"{name}: the file it is put back into has been replaced")
    new_messages = [one.new_message for one in found if one.new_message is not None]
    for new_message in new_messages:
        store.put(new_message)
    after = Progress(
        found[-1].message,
        before.put_back + len(new_messages),
        before.unreadable + sum(bool(one.problem) for one in found),
    )
    store.connection.execute("INSERT OR REPLACE INTO salvage VALUES (?, ?, ?, ?)", (name, *after))
    return after


def forget(connection: sqlite3.Connection, name: str) -> None:
    """Forget a file that is done with."""
    connection.execute("DELETE FROM salvage WHERE name = ?", (name,))
