"""The connection of the event loop: it never waits, neither for a lock nor for the disk.

A transaction takes some 50 microseconds. If another worker holds the lock, or anything fails,
`run` raises, and the thread of the store (`writer`) executes the operations instead.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gatepost.store.backend import Result
from gatepost.store.operations import AnyOperation, read_only
from gatepost.store.sqlite.database import connect, limit_size
from gatepost.store.sqlite.entries import Space


class Near:
    """A connection to the file at `path`, which must exist. Raises sqlite3.Error."""

    def __init__(self, path: Path, *, size: int, quota: int, clock: Callable[[], float]) -> None:
        self._path = str(path)
        self._quota = quota
        self._clock = clock
        self._connection = connect(path, 0)
        self.commits = 0
        limit_size(self._connection, size)

    def is_replaced(self) -> bool:
        """Return whether a worker has replaced the file."""
        return not os.path.exists(self._path)  # noqa: PTH110 - half the time of Path.exists

    def run(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        """Return the results. Raises sqlite3.Error, and then no operation has taken effect."""
        connection, now = self._connection, self._clock()
        space = Space(connection, namespace, self._quota)
        if read_only(operations):
            return space.run(operations, now)
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = space.run(operations, now)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise
        self.commits += 1
        return results

    def close(self) -> None:
        """Close the connection."""
        with suppress(sqlite3.Error):
            self._connection.close()
