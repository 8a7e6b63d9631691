"""Errors of the ledger's files, and what errors of SQLite mean."""

import errno
import sqlite3

# The disk is full, has failed, or is read-only: another attempt may succeed later.
_STORAGE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LedgerError(Exception):
    """A ledger cannot be used; the text is for the administrator."""


def is_storage(error: Exception) -> bool:
    """Return whether the disk is the problem, not the content of a file."""
    return isinstance(error, OSError) or _code(error) in _STORAGE


def is_full(error: Exception) -> bool:
    """Return whether no space is left."""
    if isinstance(error, OSError):
        return error.errno in _NO_SPACE
    return _code(error) == sqlite3.SQLITE_FULL


def _code(error: Exception) -> int:
    """Return SQLite's result code without its extension."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


class QueryTimeoutError(Exception):
    """A query has taken as long as it may."""
