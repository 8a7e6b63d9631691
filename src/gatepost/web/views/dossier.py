"""The view Dossier: what is on record of a client, a network, a domain or an address.

Limits: the newest MOST_READ records of the subject are read, for a short time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from gatepost.ledger.keys import canonical_address, domain_of, network_of
from gatepost.ledger.records import Connection, Record, Transaction
from gatepost.ledger.selection import KeyKind
from gatepost.ledger.tally import name_of
from gatepost.ledger.totals import hour_of
from gatepost.ledger.words.listing import result_of
from gatepost.ledger.words.search import SearchError
from gatepost.web.filters import RESULTS, Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.counting import Counts, rows_of
from gatepost.web.views.periods import Buckets
from gatepost.web.views.searching import selections
from gatepost.web.views.sender_actions import sender_actions
from gatepost.web.views.view import Shown

MOST_READ = 50_000
TOP = 50
KINDS: Sequence[KeyKind] = ("ip", "network", "address", "domain")
EXPECTED = "expected an IP address, a network, an address or a domain"
TITLES = {
    "accepted": "Accepted",
    "deferred": "Deferred (4xx)",
    "refused": "Refused (5xx)",
    "abandoned": "Abandoned",
}
_COUNT, _LAST = Column("count", "Count", "count"), Column("last", "Last", "time")
NETWORK = Column("network", "Client network", "client")
DOMAIN = Column("domain", "Sender domain", "domain")
RECIPIENT = Column("recipient", "Recipient", "address")
# Plugins whose results are shown.
_CHECKS = ("spf", "dkim", "dmarc", "arc", "iprev", "standing", "reputation", "greylist")
PARTIAL = "Only the newest records were read: the dossier may lack older ones."


def query(source: Source, filters: Filters) -> Shown:
    """Return the dossier of a text; raises `SearchError` and `LedgerError`."""
    records, is_complete = _records(source, filters) if filters.q else ([], True)
    messages = [one for one in records if isinstance(one, Transaction)]
    connections = [one for one in records if isinstance(one, Connection)]
    times = [one.time for one in records]
    counts = Counter(one.result for one in messages)
    buckets = Buckets(min(times, default=filters.until), filters.until, filters.tz)
    over_time = _over_time(messages, buckets)
    tables = [
        _history(over_time, buckets),
        _reasons(messages, connections, filters),
        _checks(messages),
        _traps(messages),
        _related("networks", NETWORK, _networks(messages, connections)),
        _related("senders", DOMAIN, _senders(messages)),
        _related("recipients", RECIPIENT, _recipients(messages)),
    ]
    facts = {
        "cards": [(one, TITLES[one], counts[one]) for one in RESULTS],
        "rejected": sum(result_of(one) in ("refused", "deferred") for one in connections),
        "hits": sum(one.traps_count for one in messages),
        "first": min(times, default=0.0),
        "last": max(times, default=0.0),
        "is_complete": is_complete,
        "note": "" if is_complete else PARTIAL,
        "chart": {
            "times": buckets.starts,
            "unit": buckets.unit,
            "zone": filters.zone,
            "series": [
                [one, TITLES[one], over_time[one]] for one in ("refused", "deferred", "accepted")
            ],
            "lines": [],
            "marks": [],
        },
        "has_records": bool(records),
        "actions": sender_actions(q=filters.q) if filters.q and source.scope.is_everything else [],
    }
    return Shown(tables, facts)


def _records(source: Source, filters: Filters) -> tuple[list[Record], bool]:
    """Return the newest records of a subject, and whether these are all."""
    tried = 0
    for selection in selections(source, filters, KINDS):
        tried += 1
        found, is_complete = source.first(selection, MOST_READ)
        if found or not is_complete:
            return found, is_complete
    if not tried:
        raise SearchError(f"{EXPECTED}, found {filters.q[:80]!r}")
    return [], True


def _over_time(messages: Iterable[Transaction], buckets: Buckets) -> Mapping[str, list[float]]:
    hours: dict[str, Counter[int]] = {one: Counter() for one in RESULTS}
    for one in messages:
        hours[one.result][hour_of(one.time)] += 1
    return {name: buckets.sums(found.items()) for name, found in hours.items()}


def _history(over_time: Mapping[str, list[float]], buckets: Buckets) -> Table:
    columns = [
        Column("time", buckets.unit.capitalize(), "hour" if buckets.is_hourly else "day"),
        *(Column(name, title, "count") for name, title in TITLES.items()),
    ]
    each = zip(buckets.starts, *(over_time[one] for one in TITLES), strict=True)
    rows = [Row(one) for one in each if any(one[1:])][::-1]
    empty = "No message is on record. Enter a client, a network, a domain or an address."
    title = f"Messages per {buckets.unit}"
    return Table("history", title, columns, rows, empty)


def _reasons(
    messages: Sequence[Transaction], connections: Sequence[Connection], filters: Filters
) -> Table:
    counts = Counts()
    for one in chain[Transaction | Connection](messages, connections):
        for answer in one.answers:
            if answer.verdict != "accept":
                counts.add((answer.reason or "-", answer.by, "yes" * answer.shadow), one.time)
    columns = (
        Column("reason", "Reason"),
        Column("by", "By"),
        Column("shadow", "Shadow mode"),
        _COUNT,
        _LAST,
    )
    rows = rows_of(
        counts, TOP, lambda key: filters.url("/find", reason=key[0].strip("-"), plugin=key[1])
    )
    empty = "Nothing was refused or deferred."
    return Table("reasons", "Reasons of refusals and deferrals", columns, rows, empty)


def _checks(messages: Iterable[Transaction]) -> Table:
    counts = Counts()
    for one in messages:
        for result in one.results:
            if result.name in _CHECKS:
                counts.add((result.name, result.value), one.time)
    columns = (Column("check", "Check"), Column("result", "Result"), _COUNT, _LAST)
    empty = "No check has a result. The plugins spf, dkim, dmarc, standing and others add them."
    return Table("checks", "Authentication and standing", columns, rows_of(counts, TOP), empty)


def _traps(messages: Iterable[Transaction]) -> Table:
    counts = Counts()
    for one in messages:
        for trap in one.traps:
            place = name_of(trap).partition(" ")[0]
            counts.add((trap.entry or trap.address, place), one.time)
    columns = (
        Column("trap", "Trap", "address"),
        Column("list", "List"),
        Column("count", "Hits", "count"),
        _LAST,
    )
    return Table("traps", "Traps", columns, rows_of(counts, TOP), "No trap was hit.")


def _networks(
    messages: Iterable[Transaction], connections: Iterable[Connection]
) -> Iterator[tuple[str, float]]:
    for one in chain[Transaction | Connection](messages, connections):
        yield network_of(one.client.address) or one.client.address, one.time


def _senders(messages: Iterable[Transaction]) -> Iterator[tuple[str, float]]:
    for one in messages:
        yield domain_of(canonical_address(one.sender)) or "<>", one.time


def _recipients(messages: Iterable[Transaction]) -> Iterator[tuple[str, float]]:
    for one in messages:
        for recipient in one.recipients:
            yield recipient.address, one.time


def _related(name: str, column: Column, values: Iterable[tuple[str, float]]) -> Table:
    counts = Counts()
    for value, time in values:
        counts.add((value,), time)
    empty = "There are none on record."
    return Table(name, f"{column.title}s", (column, _COUNT, _LAST), rows_of(counts, TOP), empty)
