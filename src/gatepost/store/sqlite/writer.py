"""The side of the store that may wait: it opens the file, waits for locks and for the disk.

All methods of `Database` run in one thread (`gatepost.disk.group_writer`). A damaged file is
replaced by an empty one, at most once in RETRY seconds: if the new file is damaged too, the disk
has failed. Another worker may replace the file as well; then this one opens the new file.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gatepost.log.logger import get_logger
from gatepost.store.sqlite import entries, files
from gatepost.store.sqlite.database import connect, is_damage, prepare

RETRY = 60.0

_log = get_logger("gatepost.store")


class Database:
    """The file in use, opened at the first transaction. `wait` is in seconds, `size` in octets.

    The event loop may read `path`.
    """

    def __init__(self, folder: Path, *, wait: float, size: int, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._wait = wait
        self._size = size
        self._clock = clock
        self.path = Path()
        self._is_checkpoint_due = False
        self._replaced_at = -RETRY
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the current transaction."""
        assert self._connection is not None
        return self._connection

    def begin(self) -> None:
        """Begin a transaction; open the file if it is not open. Raises OSError, sqlite3.Error."""
        if self._connection is None or self.is_replaced():
            self.close()
            self._open()
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit; then make a checkpoint if one is due."""
        self.connection.execute("COMMIT")
        if self._is_checkpoint_due:
            self._is_checkpoint_due = False
            self._checkpoint()

    def roll_back(self) -> None:
        """Undo the transaction, even if it never began."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.rollback()

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def is_replaced(self) -> bool:
        """Return whether another worker has replaced the file, or the file is gone."""
        return not os.path.exists(self.path)  # noqa: PTH110 - half the time of Path.exists

    def maintain(self) -> None:
        """Remove expired entries, and make a checkpoint after the commit."""
        entries.sweep(self.connection, self._clock())
        self._is_checkpoint_due = True

    def replace(self, error: BaseException) -> bool:
        """Replace a damaged file; return whether the transaction can be repeated.

        False means that a job failed, not the file. Raises the error if another attempt is of no
        use, OSError if the file cannot be replaced.
        """
        if not isinstance(error, sqlite3.Error | OSError):
            return False
        now = time.monotonic()
        if not is_damage(error) or now - self._replaced_at < RETRY:
            raise error
        self._replaced_at = now
        self.close()
        with files.locked(self._folder):
            self._set_aside(str(error))
        return True

    def _set_aside(self, problem: str) -> None:
        if self.is_replaced():
            return
        renamed = files.set_aside(self.path)
        _log.error(
            "damaged store replaced", file=str(self.path), renamed=str(renamed), problem=problem
        )

    def _open(self) -> None:
        with files.locked(self._folder):
            self.path = files.current(self._folder)
            files.create(self.path)
            connection = connect(self.path, self._wait)
            try:
                prepare(connection, self._size)
            except BaseException:
                connection.close()
                raise
        self._connection = connection

    def _checkpoint(self) -> None:
        """Copy the WAL into the file; the first step locks out no other worker.

        The second one restarts the WAL. Writing to it right away waits for the disk here, so that
        no event loop has to.
        """
        with suppress(sqlite3.Error):  # locked by another worker, or a full disk: tried again later
            for mode in ("PASSIVE", "RESTART"):
                self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            entries.write_nothing(self.connection)
