"""An index of due work: the table `destination`.

A row has the time at which its destination is checked for work. That time is never later than the
first due recipient, unless the destination is suspended. So checking the due rows finds all work. A
row that is too early costs one check, after which it is corrected (`refresh`).

Limits: MAX_REMEMBERED rows are cached, so that not every message has to write one.
"""

import sqlite3

from gatepost.queue.spool.sql.database import as_text

MAX_REMEMBERED = 10_000
# Destinations that are checked in one query.
WINDOW = 1000

_NEVER = float("inf")


class Destinations:
    """The destinations of one file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._remembered: dict[str, float] = {}

    def due(self, now: float, horizon: float) -> list[tuple[str, float]]:
        """Return at most WINDOW destinations to check, each with its `due`.

        A time beyond `horizon` comes from a wrong clock, and counts as due.
        """
        rows = self._connection.execute(
            "SELECT name, due FROM (SELECT name, due FROM destination WHERE due <= ?"
            " ORDER BY due LIMIT ?)"
            " UNION ALL SELECT name, due FROM (SELECT name, due FROM destination WHERE due > ?"
            " LIMIT ?)",
            (now, WINDOW, horizon, WINDOW),
        )
        return [(as_text(name), due) for name, due in rows]

    def check_by(self, name: str, due: float) -> None:
        """Check a destination at `due` or earlier."""
        if self._remembered.get(name, _NEVER) <= due:
            return
        self._connection.execute(
            "INSERT INTO destination (name, due) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET due = min(due, excluded.due)",
            (name, due),
        )
        self._remember(name, due)

    def refresh(self, name: str, suspended_until: float) -> None:
        """Check a destination when its first recipient is due and it is not suspended."""
        (first,) = self._connection.execute(
            "SELECT min(due) FROM recipient WHERE destination = ? AND due IS NOT NULL", (name,)
        ).fetchone()
        if first is None:
            self._remembered.pop(name, None)
            self._connection.execute("DELETE FROM destination WHERE name = ?", (name,))
            return
        due = max(first, suspended_until)
        self._connection.execute(
            "INSERT INTO destination (name, due) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE due != excluded.due",
            (name, due),
        )
        self._remember(name, due)

    def _remember(self, name: str, due: float) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = due

    def clear_cache(self) -> None:
        """Drop the cache after a rollback."""
        self._remembered.clear()
