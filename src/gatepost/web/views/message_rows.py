"""The row of a message in a table, with the link to its page."""

from gatepost.ledger.records import Record
from gatepost.ledger.words.listing import Entry, entry_of
from gatepost.web.filters import Filters
from gatepost.web.table import Column, Row

MESSAGES = (
    Column("time", "Time", "time"),
    Column("result", "Result", "result"),
    Column("client", "Client", "client"),
    Column("sender", "From", "address"),
    Column("recipient", "To", "address"),
    Column("reason", "Reason"),
    Column("ref", "Reference"),
)


def row_of(record: Record, filters: Filters) -> Row:
    """Return the row of a transaction or a connection."""
    return row_of_entry(entry_of(record), filters)


def row_of_entry(entry: Entry, filters: Filters) -> Row:
    """Return the row of an entry."""
    to = f"{entry.recipient} {entry.more}".strip()
    values = (
        entry.time,
        entry.result,
        entry.client,
        entry.sender,
        to,
        entry.reason,
        entry.ref,
    )
    return Row(values, Filters(zone=filters.zone).url(f"/message/{entry.ref}"))
