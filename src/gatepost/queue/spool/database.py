"""Opening a spool file, and what an error of SQLite means.

Limits: a file grows to `size` octets and no further; SQLite then says that the disk is full.
"""

import json
import os
import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from gatepost.delivery.target import DeliveryError
from gatepost.disk.durable import FILE_MODE
from gatepost.model.reply import Reply
from gatepost.queue.spool.schema import upgrade

PAGE = 4096
# How long a commit waits for another process that writes, in seconds: an administrator's command
# changes rows in small portions.
BUSY_TIMEOUT = 10.0
# Pages in the WAL before they are copied to the file: messages that are delivered soon are gone by
# then, and never come to the file at all.
CHECKPOINT = 4000

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# What beside that is due to what is in a file: SQL that does not fit its tables, text that is none.
_ODD = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT})
# A disk that does not give back what is on it.
_LOST = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})
# Text that is damaged must not keep what is beside it from being read. It cannot be encoded again,
# so nobody takes it for what was put.
_text = partial(str, encoding="utf-8", errors="surrogateescape")
_FULL = Reply(452, "Insufficient system storage, please try again later", "4.3.1")


def open_file(path: Path, size: int) -> sqlite3.Connection:
    """Open or make a spool file; raises OSError, sqlite3.Error or `VersionError`."""
    # SQLite gives the files it makes beside it the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT * PAGE}")
        connection.execute(f"PRAGMA max_page_count = {max(1, size // PAGE)}")
        upgrade(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a file that is there; transactions are the caller's. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _text
    return connection


def as_json(values: Iterable[object]) -> str:
    """Return numbers or texts as what SQLite's `json_each` takes apart."""
    return json.dumps(list(values))


def as_text(value: object) -> str:
    """Return a value that should be text as text that can be written down again."""
    return str(value).encode(errors="replace").decode()


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is broken, not what was asked of it."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGED


def is_unreadable(error: BaseException | None) -> bool:
    """Whether something cannot be read and will not be, whoever tries when."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code in _LOST or code & 0xFF in _DAMAGED | _ODD
    return isinstance(error, OSError) and is_unreadable(error.__cause__)


def not_spooled(error: Exception) -> DeliveryError:
    """Return what a client is told: nearly always the disk is full."""
    return DeliveryError(_FULL.text, detail=f"spool: {error}", reply=_FULL)


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without its extension."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
