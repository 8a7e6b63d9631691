"""Errors of the spool, as one error with its reason."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from gatepost.queue.spool.sql.schema import VersionError


class QueueError(Exception):
    """The queue cannot be used; the message has the reason."""


@contextmanager
def spool_errors() -> Iterator[None]:
    """Turn errors of the spool into `QueueError`."""
    try:
        yield
    except (sqlite3.Error, OSError, VersionError) as error:
        raise QueueError(f"the spool cannot be used: {error}") from error
