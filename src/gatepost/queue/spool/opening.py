"""Opening a spool file whatever state it is in: one that is damaged gives way to a new one.

A disk that fails looks like damage: SQLite says the same of both. Where the file cannot be renamed
or no other made it is the disk, and the file stays what it is. If that is interrupted it is gone on
with at the next start.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from gatepost.queue.spool.corrupt import bring_back, complete, set_aside
from gatepost.queue.spool.database import is_damage
from gatepost.queue.spool.store import Store

_log = structlog.get_logger("gatepost.queue")


class Opener:
    """Opens files; `on_damage` is told which was damaged, in whatever thread that was seen.

    `options` are those of `Store`.
    """

    def __init__(self, on_damage: Callable[[Path], None], **options: Any) -> None:
        self._on_damage = on_damage
        self._options = options

    def open(self, path: Path) -> Store:
        """Open or make a file; raises OSError, sqlite3.Error or `VersionError`."""
        complete(path)
        try:
            return Store(path, **self._options)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return self._open_anew(path)

    def replace(self, store: Store) -> Store:
        """Return another store in place of one that is damaged; raises OSError, sqlite3.Error.

        Then the old one is closed and has its file, which `begin` opens again.
        """
        with suppress(sqlite3.Error):
            store.close()
        return self._open_anew(store.path)

    def _open_anew(self, path: Path) -> Store:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        place = set_aside(path, moment)
        try:
            store = Store(path, **self._options)
        except BaseException:
            bring_back(place, path)
            raise
        _log.error("spool file damaged, set aside", file=str(path), now=str(place))
        self._on_damage(path)
        return store
