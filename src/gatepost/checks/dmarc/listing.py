"""The DMARC results of some periods as sections: each domain, and where failures came from.

Limits: at most MAX_SOURCES different sources of failures are counted, those of later periods are
left out.
"""

from collections import Counter
from collections.abc import Sequence

from gatepost.checks.dmarc.collect import Period
from gatepost.ledger.words.sections import Column, Report, Section
from gatepost.ledger.words.sections import Row as TableRow
from gatepost.ledger.words.wording import number
from gatepost.mailauth.dmarc.report import Row

MAX_SOURCES = 100_000

_Source = tuple[str, str, str]
_DOMAINS = (
    Column("domain", "policy domain", "text"),
    Column("policy", "policy", "text"),
    Column("passed", "passed"),
    Column("failed", "failed"),
)
_FAILURES = (
    Column("domain", "From domain", "text"),
    Column("client", "client", "text"),
    Column("disposition", "effect", "text"),
    Column("count", "messages"),
)


class Listing:
    """Adds up periods; `report` returns the sections, each with at most `top` rows."""

    def __init__(self) -> None:
        self._policies: dict[str, str] = {}
        self._passed: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._sources: Counter[_Source] = Counter()

    def add(self, period: Period) -> None:
        """Add the results of a period, after those of earlier ones."""
        for domain in period.domains.values():
            self._policies[domain.name] = domain.published.p or "none"
            for row in domain.rows():
                self._add(domain.name, row)

    def _add(self, domain: str, row: Row) -> None:
        if row.dkim or row.spf:
            self._passed[domain] += row.count
            return
        self._failed[domain] += row.count
        source = (row.header_from, row.source_ip, row.disposition)
        if source in self._sources or len(self._sources) < MAX_SOURCES:
            self._sources[source] += row.count

    def report(self, since: float, until: float, top: int) -> Report:
        """Return the sections that have rows, the most failures first."""
        names = sorted(self._policies, key=lambda one: (-self._failed[one], one))
        domains = [
            (one, self._policies[one], self._passed[one], self._failed[one]) for one in names
        ]
        sources = sorted(self._sources.items(), key=lambda one: (-one[1], one[0]))
        sections = (
            _section("domains", "Domains with a DMARC policy", _DOMAINS, domains, top),
            _section(
                "failures",
                "Messages that failed DMARC",
                _FAILURES,
                [(*source, count) for source, count in sources],
                top,
            ),
        )
        return Report(since, until, [one for one in sections if one.rows])


def _section(
    name: str, title: str, columns: Sequence[Column], rows: Sequence[TableRow], top: int
) -> Section:
    more = len(rows) - top
    note = f"{number(more)} more are not shown" if more > 0 else ""
    return Section(name, title, columns, rows[:top], note)
