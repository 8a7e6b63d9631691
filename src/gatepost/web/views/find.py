"""The view Find: what happened to the mail from A to B, with this reference, from this client.

One text is searched for as by `gatepost explain`, together with the filters. Each row is a message,
or a connection that ended without one.
"""

from collections.abc import Iterator

from gatepost.ledger.records import Gap, Notice, Record
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import QueryTimeoutError
from gatepost.ledger.words.listing import entry_of, is_notable
from gatepost.ledger.words.story import stories
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Table
from gatepost.web.views.message_rows import MESSAGES, row_of_entry
from gatepost.web.views.searching import selections
from gatepost.web.views.view import Shown

ROWS = 50
EMPTY = (
    "No message and no refused connection matches. Use a longer period or fewer filters. Messages"
    " appear here about a second after their end."
)
STOPPED = "The search was stopped after some seconds. A shorter period finds more."


def query(source: Source, filters: Filters) -> Shown:
    """Return the rows of a search; raises `SearchError` and `LedgerError`."""
    records, is_complete = _records(source, filters)
    entries = [entry_of(one.main)._replace(ref=one.ref) for one in stories(records)]
    shown = entries[:ROWS]
    before = shown[-1].time if len(entries) > ROWS else 0.0
    older = filters.url("/find", before=before) if before else ""
    table = Table(
        "messages",
        "Messages",
        MESSAGES,
        [row_of_entry(one, filters) for one in shown],
        EMPTY,
        "" if is_complete else STOPPED,
    )
    return Shown([table], {"older": older, "next": before})


def _records(source: Source, filters: Filters) -> tuple[list[Record], bool]:
    """Return the records of the first rows, and whether none is missing for lack of time."""
    for selection in selections(source, filters):
        found: list[Record] = []
        try:
            found.extend(_first(source, selection, filters.result))
        except QueryTimeoutError:
            return found, False
        if found:
            return found, True
    return [], True


def _first(source: Source, selection: Selection, result: str) -> Iterator[Record]:
    """Yield records until there are enough for all rows."""
    refs: set[str] = set()
    records = source.ledger.select(selection, limit=None)
    for record in records:
        if isinstance(record, Notice | Gap) or not is_notable(record):
            continue
        if result and entry_of(record).result != result:
            continue
        refs.add(record.ref)
        if len(refs) > ROWS + 1:
            return
        yield record
