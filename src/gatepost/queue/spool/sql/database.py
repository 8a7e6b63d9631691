"""Opening a spool file, and the meaning of SQLite errors.

Limits: a file grows to `size` octets. Past that, SQLite reports a full disk.
"""

import json
import os
import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from gatepost.delivery.target import DeliveryError
from gatepost.disk.durable import FILE_MODE
from gatepost.log.render import format_traceback
from gatepost.model.reply import Reply
from gatepost.queue.spool.sql.schema import DamagedFileError, upgrade
from gatepost.queue.spool.sql.wal import PAGE, wal_damage

# Seconds that a commit waits for another process that writes: the commands of an administrator
# change rows in small portions.
BUSY_TIMEOUT = 10.0
# Pages in the WAL before they are copied to the file: messages that are delivered soon are gone
# before that, and never reach the file.
CHECKPOINT = 4000
# Files with more pages are not read completely when they are opened.
FULL_CHECK = 16_384

# Errors of a disk that is full or has failed. Their text is sufficient, a traceback does not help.
STORAGE_ERRORS = (OSError, sqlite3.Error)

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# Other errors that the content of a file can cause: SQL does not fit its tables, text is not UTF-8.
_MALFORMED = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT})
# The disk does not return the data that was written.
_LOST = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})
# Damaged text must not make the other columns unreadable. Surrogates cannot be encoded again, so
# the text is never mistaken for the original.
_text = partial(str, encoding="utf-8", errors="surrogateescape")
# The reply if there is no space for a message.
FULL = Reply(452, "Insufficient system storage", "4.3.1")


def open_file(path: Path, size: int) -> sqlite3.Connection:
    """Open or create a spool file; raises OSError, sqlite3.Error or `VersionError`.

    A damaged file is an error for which `is_damage` is true.
    """
    check_wal(path)
    # SQLite creates its other files with the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT * PAGE}")
        connection.execute(f"PRAGMA max_page_count = {max(1, size // PAGE)}")
        upgrade(connection)
        _check_tables(connection)
    except UnicodeDecodeError as error:
        connection.close()
        raise DamagedFileError(f"schema damaged: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def check_wal(path: Path) -> None:
    """Raise `DamagedFileError` if SQLite would drop a part of the WAL; raises OSError."""
    problem = wal_damage(path)
    if problem:
        raise DamagedFileError(problem)


def _check_tables(connection: sqlite3.Connection) -> None:
    """Raise `DamagedFileError` if indexes do not match their tables.

    A recipient that is missing in an index would never be due. Large files are checked without the
    table `content`, which has digests.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    scopes = ("",) if pages <= FULL_CHECK else ("(message)", "(recipient)", "(destination)")
    for scope in scopes:
        (problem,) = connection.execute(f"PRAGMA integrity_check{scope}").fetchone()
        if problem != "ok":
            raise DamagedFileError(f"integrity check failed: {problem.splitlines()[-1]}")


def connect(path: Path) -> sqlite3.Connection:
    """Connect to an existing file, with explicit transactions. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _text
    return connection


def as_json(values: Iterable[object]) -> str:
    """Return numbers or texts as a parameter for SQLite's `json_each`."""
    return json.dumps(list(values))


def as_text(value: object) -> str:
    """Return a value that should be text as text that can be encoded."""
    return str(value).encode(errors="replace").decode()


def is_damage(error: BaseException) -> bool:
    """Return whether the file itself is damaged, not the query wrong."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGED


def is_unreadable(error: BaseException | None) -> bool:
    """Return whether something cannot be read, and another attempt will not help."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code in _LOST or code & 0xFF in _DAMAGED | _MALFORMED
    if isinstance(error, UnicodeDecodeError):  # SQLite's message quotes a damaged schema
        return True
    return isinstance(error, OSError) and is_unreadable(error.__cause__)


def spool_error(error: Exception) -> DeliveryError:
    """Return the error for the client: nearly always the disk is full."""
    return DeliveryError(FULL.text, detail=f"spool: {error}", reply=FULL)


def as_delivery_error(error: BaseException) -> BaseException:
    """Return an error of the spool as one for the client, and any other error as it is."""
    if not isinstance(error, STORAGE_ERRORS):
        return error
    found = spool_error(error)
    found.__cause__ = error
    return found


def error_fields(
    error: Exception, expected: tuple[type[Exception], ...] = STORAGE_ERRORS
) -> dict[str, Any]:
    """Return the log fields of an error: its text if it is expected, otherwise a traceback."""
    if isinstance(error, expected):
        return {"error": str(error)}
    return {"exception": format_traceback(error)}


def _code(error: sqlite3.Error) -> int:
    """Return the SQLite result code without its extension."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
