"""The view Queue: what waits, for which next hop, since when, and why."""

from collections.abc import Sequence

from gatepost.queue.spool.admin import QueueEntry
from gatepost.web.filters import Filters
from gatepost.web.source import MOST_QUEUED, Source
from gatepost.web.table import Column, Row, Table, Value
from gatepost.web.views.view import Shown

ROWS = 200
HOPS = (
    Column("destination", "Next hop"),
    Column("queued", "Queued", "count"),
    Column("held", "Held", "count"),
    Column("age", "Oldest", "seconds"),
    Column("reply", "Last reply"),
)
RECIPIENTS = (
    Column("message", "Message"),
    Column("state", "State", "result"),
    Column("sender", "From", "address"),
    Column("recipient", "To", "address"),
    Column("destination", "Next hop"),
    Column("received", "Received", "minute"),
    Column("due", "Next attempt", "minute"),
    Column("attempts", "Attempts", "count"),
    Column("reply", "Last reply"),
)
EMPTY = (
    'The queue is empty. Mail of routes with mode = "queue" is here until it is delivered, with the'
    " reason of each delay."
)


def query(source: Source, filters: Filters) -> Shown:
    """Return the next hops and the recipients; raises `QueueError`."""
    entries, depth = source.queue(), source.depth()
    hops = {name: _hop(name, found, source.now) for name, found in _by_hop(entries).items()}
    if depth is not None and len(entries) == MOST_QUEUED:  # the counts of all are known
        for one in depth.destinations:
            _, _, _, age, reply = hops.get(one.destination, ("", 0, 0, 0.0, ""))
            hops[one.destination] = (
                one.destination,
                one.active + one.deferred,
                one.held,
                age,
                reply,
            )
    rows = sorted(hops.values(), key=lambda row: (-_count(row), row[0]))
    is_partial = len(entries) == MOST_QUEUED
    note = f"Ages and replies are those of {MOST_QUEUED:,} recipients." if is_partial else ""
    tables = [
        Table("hops", "Next hops", HOPS, [Row(row) for row in rows], EMPTY, note),
        _recipients(entries, filters),
    ]
    facts = {
        "queued": sum(int(row[1]) for row in rows),
        "held": sum(int(row[2]) for row in rows),
        "oldest": max((float(row[3]) for row in rows), default=0.0),
    }
    return Shown(tables, facts)


def _by_hop(entries: Sequence[QueueEntry]) -> dict[str, list[QueueEntry]]:
    found: dict[str, list[QueueEntry]] = {}
    for one in entries:
        found.setdefault(str(one.destination), []).append(one)
    return found


def _hop(name: str, entries: Sequence[QueueEntry], now: float) -> tuple[Value, ...]:
    held = sum(one.state == "held" for one in entries)
    age = max(0.0, now - min(one.received for one in entries))
    replies = [one.reply or one.reason for one in entries if one.reply or one.reason]
    return name, len(entries) - held, held, age, replies[-1] if replies else ""


def _count(row: Sequence[Value]) -> int:
    return int(row[1]) + int(row[2])


def _recipients(entries: Sequence[QueueEntry], filters: Filters) -> Table:
    chosen = [one for one in entries if matches(one, filters)]
    rows = [Row(_values(one), f"/message/{one.ref}") for one in chosen[:ROWS]]
    more = len(chosen) - len(rows)
    note = f"{more:,} more are not shown." if more > 0 else ""
    return Table("recipients", "Recipients", RECIPIENTS, rows, EMPTY, note)


def matches(one: QueueEntry, filters: Filters) -> bool:
    """Return whether the sender and the recipient have the texts of filters."""
    pairs = ((filters.sender, one.sender), (filters.to, one.recipient))
    return all(text.lower() in value.lower() for text, value in pairs if text)


def _values(one: QueueEntry) -> tuple[Value, ...]:
    reply = one.reply or one.reason
    return (
        one.name,
        one.state,
        one.sender or "<>",
        one.recipient,
        one.destination,
        one.received,
        one.due or 0.0,
        one.attempts,
        reply,
    )
