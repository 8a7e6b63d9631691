"""Writing down what has become of a message, and finding those that time has decided about."""

import sqlite3

from gatepost.queue.spool.put import Tables
from gatepost.queue.spool.records import AttemptResult

_DEFER = "UPDATE recipient SET due = ?, attempts = attempts + 1, reply = ?, reason = ? WHERE id = ?"
_HOLD = "UPDATE recipient SET due = NULL, reply = ?, reason = ? WHERE id = ?"


def settle(connection: sqlite3.Connection, settlement: AttemptResult, tables: Tables) -> None:
    """Write down what of a message is not done; raises sqlite3.Error.

    Rows that an administrator has removed meanwhile stay away.
    """
    connection.executemany(
        _DEFER, [(one.due, one.reply, one.reason, one.id) for one in settlement.deferred]
    )
    connection.executemany(_HOLD, [(one.reply, one.reason, one.id) for one in settlement.held])
    if settlement.event is not None:
        connection.execute(
            "UPDATE message SET event = ?, expires = min(expires, ?) WHERE id = ?",
            (settlement.event, settlement.expires, settlement.message),
        )
    for new_message in settlement.new_messages:
        tables.put(new_message)


def elapsed(connection: sqlite3.Connection, now: float, horizon: float, limit: int) -> list[int]:
    """Return messages whose `event` has come, or is further away than anything puts it."""
    rows = connection.execute(
        "SELECT id FROM (SELECT id FROM message WHERE event <= ? ORDER BY event LIMIT ?)"
        " UNION ALL SELECT id FROM (SELECT id FROM message WHERE event > ? LIMIT ?)",
        (now, limit, horizon, limit),
    )
    return [message for (message,) in rows]
