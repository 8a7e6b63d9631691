"""The view Quarantine: what is held, why, and by which plugin."""

from gatepost.queue.spool.admin import QueueEntry
from gatepost.queue.spool.admin import Selection as QueueSelection
from gatepost.web.filters import Filters
from gatepost.web.source import MOST_QUEUED, Source
from gatepost.web.table import Column, Row, Table, Value
from gatepost.web.views.queue import ROWS, matches
from gatepost.web.views.view import Shown

COLUMNS = (
    Column("message", "Message"),
    Column("held", "Held since", "minute"),
    Column("plugin", "Plugin"),
    Column("reason", "Reason"),
    Column("sender", "From", "address"),
    Column("recipient", "To", "address"),
    Column("size", "Size", "octets"),
)
EMPTY = (
    'No mail is held. Plugins hold mail with "hold" as their reaction, and `gatepost queue hold`'
    " holds queued mail."
)


def query(source: Source, filters: Filters) -> Shown:
    """Return the held recipients; raises `QueueError`."""
    held = source.queue(QueueSelection(state="held"))
    chosen = [one for one in held if matches(one, filters) and _is_of(one, filters)]
    chosen.sort(key=lambda one: -(one.held or one.received))
    rows = [Row(_values(one), f"/message/{one.ref}") for one in chosen[:ROWS]]
    more = len(chosen) - len(rows)
    note = f"{more:,} more are not shown." if more > 0 else ""
    if len(held) == MOST_QUEUED:
        note = f"Only {MOST_QUEUED:,} recipients were read. {note}".strip()
    return Shown([Table("held", "Held mail", COLUMNS, rows, EMPTY, note)])


def _is_of(one: QueueEntry, filters: Filters) -> bool:
    pairs = ((filters.reason, one.reason), (filters.plugin, one.holder))
    return all(text.lower() in str(value).lower() for text, value in pairs if text)


def _values(one: QueueEntry) -> tuple[Value, ...]:
    return (
        one.name,
        one.held or one.received,
        one.holder or "-",
        one.reason,
        one.sender or "<>",
        one.recipient,
        one.size,
    )
