"""The operations on an open file, within a transaction of the caller.

Each operation reads its entry, applies its rule and writes what has changed. The size of a
namespace is counted with the entries, so that the quota holds exactly for all workers together.
"""

import sqlite3
from collections.abc import Sequence

from gatepost.store.backend import Result
from gatepost.store.errors import KeyTypeError
from gatepost.store.operations import AnyOperation, Entry, live
from gatepost.store.quota import size_of
from gatepost.store.sqlite.database import NO_NAMESPACE

# Rows that one statement reads to make room, and expired rows that one sweep removes: a
# transaction stays short, because it locks out the other workers.
_EVICTED = 32
_SWEPT = 500

_READ = "SELECT stored, expires FROM entry WHERE namespace = ? AND key = ?"
_WRITE = "INSERT OR REPLACE INTO entry (namespace, key, stored, expires) VALUES (?, ?, ?, ?)"
_CHANGE = "UPDATE entry SET stored = ? WHERE namespace = ? AND key = ?"
_REMOVE = "DELETE FROM entry WHERE namespace = ? AND key = ?"
_COUNT = (
    "INSERT INTO usage (namespace, octets) VALUES (?, ?)"
    " ON CONFLICT DO UPDATE SET octets = octets + excluded.octets RETURNING octets"
)
_NEXT = (
    "SELECT key, stored, expires FROM entry WHERE namespace = ? AND key <> ?"
    " ORDER BY expires, key LIMIT ?"
)
_EXPIRED = (
    "SELECT key, stored, expires FROM entry WHERE namespace = ? AND expires <= ?"
    " ORDER BY expires, key LIMIT ?"
)


def sweep(connection: sqlite3.Connection, now: float) -> None:
    """Remove expired entries, a limited number of each namespace. Raises sqlite3.Error."""
    names = connection.execute("SELECT namespace FROM usage").fetchall()
    for (namespace,) in names:
        Space(connection, namespace, 0).sweep(now)


def write_nothing(connection: sqlite3.Connection) -> None:
    """Change one page, which has no other effect. Raises sqlite3.Error."""
    connection.execute(_COUNT, (NO_NAMESPACE, 1)).fetchone()


def _entry(row: tuple[object, object] | None) -> Entry | None:
    """Return the entry of a row; a row with values of other types counts as absent."""
    match row:
        case (str() | int() | float() as stored, float() as expires):
            return Entry(stored, expires)
        case _:
            return None


class Space:
    """A namespace in an open file, and its quota in octets."""

    __slots__ = ("_execute", "_namespace", "_quota")

    def __init__(self, connection: sqlite3.Connection, namespace: str, quota: int) -> None:
        self._execute = connection.execute
        self._namespace = namespace
        self._quota = quota

    def run(self, operations: Sequence[AnyOperation], now: float) -> list[Result]:
        """Return the results; those of wrong types are `KeyTypeError`. Raises sqlite3.Error."""
        return [self._run(operation, now) for operation in operations]

    def sweep(self, now: float) -> None:
        """Remove expired entries, a limited number. Raises sqlite3.Error."""
        for key, *row in self._execute(_EXPIRED, (self._namespace, now, _SWEPT)).fetchall():
            self._remove(key, Entry(*row))

    def _run(self, operation: AnyOperation, now: float) -> Result:
        key = operation.key
        old = _entry(self._execute(_READ, (self._namespace, key)).fetchone())
        found = live(old, now)
        try:
            result, new = operation.apply(found, now)
        except KeyTypeError as error:
            return error
        if new is None:
            if found is not None:
                self._remove(key, found)
        elif new is not found:
            self._write(key, old, new)
        return result

    def _write(self, key: str, old: Entry | None, new: Entry) -> None:
        if old is not None and old.expires == new.expires:  # the index stays as it is
            self._execute(_CHANGE, (new.stored, self._namespace, key))
        else:
            self._execute(_WRITE, (self._namespace, key, *new))
        change = size_of(key, new) - size_of(key, old)
        if change:
            self._make_room(key, self._count(change))

    def _make_room(self, kept: str, used: int) -> None:
        """Remove entries other than `kept` while the namespace has more than its quota."""
        while used > self._quota:
            rows = self._execute(_NEXT, (self._namespace, kept, _EVICTED)).fetchall()
            if not rows:
                return
            for key, *row in rows:
                used = self._remove(key, Entry(*row))
                if used <= self._quota:
                    return

    def _remove(self, key: str, entry: Entry) -> int:
        """Remove an entry; return the octets of the namespace that are left."""
        self._execute(_REMOVE, (self._namespace, key))
        return self._count(-size_of(key, entry))

    def _count(self, change: int) -> int:
        (octets,) = self._execute(_COUNT, (self._namespace, change)).fetchone()
        return int(octets)
