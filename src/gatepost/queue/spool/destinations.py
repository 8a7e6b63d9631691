"""Where there may be work, and when: the table `destination`.

A row says when its destination is to be looked at. It is never later than the first due recipient
there, unless the destination is left alone for a while: so work is found by looking at the rows
that are due. One that is too early costs a look, after which it is put right (`refresh`).

Limits: MAX_REMEMBERED rows are remembered, so that not every put has to write one.
"""

import sqlite3

from gatepost.queue.spool.database import as_text

MAX_REMEMBERED = 10_000
# Destinations that are looked at in one go.
WINDOW = 1000

_NEVER = float("inf")


class Destinations:
    """The destinations of one file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._remembered: dict[str, float] = {}

    def due(self, now: float, horizon: float) -> list[tuple[str, float]]:
        """Return at most WINDOW destinations to look at, each with its `due`.

        Times beyond `horizon` come from a clock that was wrong: they count as due.
        """
        rows = self._connection.execute(
            "SELECT name, due FROM (SELECT name, due FROM destination WHERE due <= ?"
            " ORDER BY due LIMIT ?)"
            " UNION ALL SELECT name, due FROM (SELECT name, due FROM destination WHERE due > ?"
            " LIMIT ?)",
            (now, WINDOW, horizon, WINDOW),
        )
        return [(as_text(name), due) for name, due in rows]

    def lower(self, name: str, due: float) -> None:
        """Have a destination looked at by `due`."""
        if self._remembered.get(name, _NEVER) <= due:
            return
        self._connection.execute(
            "INSERT INTO destination (name, due) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET due = min(due, excluded.due)",
            (name, due),
        )
        self._remember(name, due)

    def refresh(self, name: str, opens: float) -> None:
        """Have a destination looked at when its first recipient is due, but not before `opens`."""
        (first,) = self._connection.execute(
            "SELECT min(due) FROM recipient WHERE destination = ? AND due IS NOT NULL", (name,)
        ).fetchone()
        if first is None:
            self._remembered.pop(name, None)
            self._connection.execute("DELETE FROM destination WHERE name = ?", (name,))
            return
        self._connection.execute(
            "INSERT INTO destination (name, due) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE due != excluded.due",
            (name, max(first, opens)),
        )
        self._remember(name, max(first, opens))

    def _remember(self, name: str, due: float) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = due

    def forget(self) -> None:
        """Remember nothing: what was written has been rolled back."""
        self._remembered.clear()
