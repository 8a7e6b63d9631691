"""Collect the DMARC results of a period from the ledger, for each policy domain.

Limits: one period of at most a day is in memory, with at most MAX_ROWS different rows of all
domains. Messages that would need another row are counted in `omitted`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from gatepost.checks.dmarc.evaluated import Evaluated, evaluated
from gatepost.ledger.records import Record as LedgerRecord
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerReader
from gatepost.mailauth.dmarc import Record
from gatepost.mailauth.dmarc.report import Row

MAX_ROWS = 100_000
DAY = 86400
# A day with a change of the clock has up to an hour more.
_LONGEST_DAY = DAY + 3600


class Domain(msgspec.Struct):
    """A policy domain: its newest record, and the number of messages for each row."""

    name: str
    published: Record
    requests_reports: bool
    counts: Counter[Row] = msgspec.field(default_factory=Counter)

    def rows(self) -> Iterator[Row]:
        """Yield the rows with their counts, the most frequent first."""
        for row, count in self.counts.most_common():
            yield msgspec.structs.replace(row, count=count)


class Period(msgspec.Struct):
    """A period in seconds since 1970 and its policy domains; see the limits for `omitted`."""

    since: int
    until: int
    domains: dict[str, Domain] = {}
    rows: int = 0
    omitted: int = 0

    def add(self, one: Evaluated, most: int = MAX_ROWS) -> None:
        """Count a message. The newest message of a domain comes first."""
        domain = self.domains.get(one.policy_domain)
        if domain is None or one.row not in domain.counts:
            if self.rows >= most:
                self.omitted += 1
                return
            self.rows += 1
        if domain is None:
            domain = Domain(one.policy_domain, one.published, one.requests_reports)
            self.domains[domain.name] = domain
        domain.counts[one.row] += 1


def periods(since: float, until: float) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each day from `since`; the last one can be shorter.

    Both are whole seconds, so that reports are; the second of `until` belongs to the last day.
    """
    start, end = int(since), math.ceil(until)
    while start < end:
        stop = end if end - start <= _LONGEST_DAY else start + DAY
        yield start, stop
        start = stop


def collect(reader: LedgerReader, since: int, until: int, domain: str = "") -> Period:
    """Return the results of a period, of a From or policy domain and its subdomains if given.

    Raises `LedgerError`.
    """
    selection = Selection(since=since, until=until, kinds=("transaction",))
    period = Period(since, until)
    for one in _evaluated(reader.select(selection)):
        if not domain or _is_about(one, domain):
            period.add(one)
    return period


def _evaluated(records: Iterable[LedgerRecord]) -> Iterator[Evaluated]:
    for record in records:
        found = evaluated(record) if isinstance(record, Transaction) else None
        if found is not None:
            yield found


def _is_about(one: Evaluated, domain: str) -> bool:
    names = (one.policy_domain, one.row.header_from)
    return any(f".{name}".endswith(f".{domain}") for name in names)
