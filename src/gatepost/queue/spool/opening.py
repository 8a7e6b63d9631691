"""Opening a spool file in any state: a new file replaces a damaged one.

A failing disk looks like damage: SQLite reports the same errors. If the file cannot be renamed, or
no new one created, the disk is to blame and the file stays. An interrupted replacement continues at
the next start.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatepost.log.logger import get_logger
from gatepost.queue.spool.corrupt import finish_renaming, rename_damaged, undo_rename
from gatepost.queue.spool.sql.database import is_damage
from gatepost.queue.spool.store import Store

_log = get_logger("gatepost.queue")


class Opener:
    """Opens files. `on_damage` receives the path of a replaced file, in any thread.

    `options` are those of `Store`.
    """

    def __init__(self, on_damage: Callable[[Path], None], **options: Any) -> None:
        self._on_damage = on_damage
        self._options = options

    def open(self, path: Path) -> Store:
        """Open or create a file; raises OSError, sqlite3.Error or `VersionError`."""
        finish_renaming(path)
        try:
            return Store(path, **self._options)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return self._replace(path, str(error))

    def replace(self, store: Store, problem: str) -> Store:
        """Return a new store in place of a damaged one; raises OSError or sqlite3.Error.

        After an error the old store is closed and has its file, which `begin` opens again.
        """
        with suppress(sqlite3.Error):
            store.close()
        return self._replace(store.path, problem)

    def _replace(self, path: Path, problem: str) -> Store:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        renamed = rename_damaged(path, moment)
        try:
            store = Store(path, **self._options)
        except BaseException:
            undo_rename(renamed, path)
            raise
        _log.error(
            "damaged spool file replaced", file=str(path), renamed=str(renamed), problem=problem
        )
        self._on_damage(path)
        return store
