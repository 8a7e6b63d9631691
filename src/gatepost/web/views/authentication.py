"""The view Authentication: who sends as a domain, what SPF, DKIM and DMARC found, who fails.

The counts of DMARC are those of the whole period. Alignment, policies and the networks that fail
are those of the newest messages.

Limits: the newest MOST_READ messages are read, for a short time. TOP rows of each table.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parseaddr

import msgspec

from gatepost.ledger.keys import canonical_address, canonical_domain, domain_of, network_of
from gatepost.ledger.records import PluginResult, Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.totals import hour_of
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table, Value
from gatepost.web.views.counting import Counts, counted_note, rows_of
from gatepost.web.views.view import Shown

MOST_READ = 50_000
TOP = 200
DMARC = (
    Column("domain", "From domain", "domain"),
    Column("pass", "Pass", "count"),
    Column("fail", "Fail", "count"),
    Column("other", "No policy, errors", "count"),
    Column("share", "Fail, share", "share"),
)
CHECKS = (
    Column("domain", "From domain", "domain"),
    Column("messages", "Messages", "count"),
    Column("spf", "SPF pass", "count"),
    Column("spf_aligned", "SPF aligned", "count"),
    Column("dkim", "DKIM pass", "count"),
    Column("dkim_aligned", "DKIM aligned", "count"),
    Column("dmarc", "DMARC pass", "count"),
    Column("policy", "Policy"),
    Column("applied", "Applied to failures"),
    Column("refused", "Refused", "count"),
)
FAILING = (
    Column("domain", "From domain", "domain"),
    Column("network", "Network", "client"),
    Column("spf", "SPF"),
    Column("dkim", "DKIM"),
    Column("count", "Count", "count"),
    Column("last", "Last", "time"),
)
EMPTY = (
    "No message with a result in this period. The plugins spf, dkim and dmarc add them: see"
    " `gatepost plugins`."
)
PARTIAL = "Only the newest messages of the period were read."


def query(source: Source, filters: Filters) -> Shown:
    """Return the results of a period; `domain` is that of the From field. Raises `LedgerError`."""
    within = canonical_domain(filters.domain)
    totals = _totals(source, filters, within)
    checked, is_complete = _checked(source, filters, within)
    note = "" if is_complete else PARTIAL
    counted = counted_note(source, filters)
    tables = [
        Table("dmarc", "DMARC by From domain", DMARC, _dmarc(totals, filters), EMPTY, counted),
        Table("checks", "Checks and alignment", CHECKS, _checks(checked, filters), EMPTY, note),
        Table("failing", "Networks that fail", FAILING, _failing(checked), _NONE_FAIL, note),
    ]
    facts = {name: sum(one[name] for one in totals.values()) for name in ("pass", "fail")}
    facts["all"] = sum(one.total() for one in totals.values())
    return Shown(tables, facts)


_NONE_FAIL = "No message failed DMARC in this period."
Domains = Mapping[str, Counter[str]]


def _is_of(domain: str, within: str) -> bool:
    return not within or domain == within or domain.endswith(f".{within}")


def _totals(source: Source, filters: Filters, within: str) -> Domains:
    """Return the results of DMARC by domain."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    sums = source.ledger.sums(hour_of(filters.since), filters.until, "dmarc")
    for key, count in sums.counts.items():
        result, _, domain = key.partition(" ")
        if _is_of(domain, within):
            found[domain][result] += round(count)
    return found


def _dmarc(totals: Domains, filters: Filters) -> list[Row]:
    rows = []
    for domain, one in sorted(totals.items(), key=lambda item: (-item[1].total(), item[0]))[:TOP]:
        other = one.total() - one["pass"] - one["fail"]
        share = one["fail"] / max(one.total(), 1)
        rows.append(Row((domain, one["pass"], one["fail"], other, share), _own(domain, filters)))
    return rows


def _own(domain: str, filters: Filters) -> str:
    return filters.url("/authentication", domain=domain)


class _Checked(msgspec.Struct):
    """A message, the domain of its From field, and the results of its checks."""

    message: Transaction
    domain: str
    dmarc: PluginResult | None
    spf: str
    dkim: str

    def fact(self, name: str) -> str:
        """Return a fact of DMARC, "" without it."""
        return "" if self.dmarc is None else str(self.dmarc.facts.get(name, ""))

    @property
    def result(self) -> str:
        """The result of DMARC, "" if it was not checked."""
        return "" if self.dmarc is None else self.dmarc.value


def _checked(source: Source, filters: Filters, within: str) -> tuple[list[_Checked], bool]:
    selection = Selection(since=hour_of(filters.since), until=filters.until, kinds=["transaction"])
    records, is_complete = source.first(selection, MOST_READ)
    found = [_check(one) for one in records if isinstance(one, Transaction) and one.results]
    return [one for one in found if one.domain and _is_of(one.domain, within)], is_complete


def _check(message: Transaction) -> _Checked:
    results: dict[str, list[PluginResult]] = defaultdict(list)
    for one in message.results:
        results[one.name].append(one)
    dmarc = next(iter(results["dmarc"]), None)
    written = "" if dmarc is None else str(dmarc.facts.get("domain", ""))
    domain = written or _author(message)
    values = {name: _best(results[name]) for name in ("spf", "dkim")}
    return _Checked(message, domain if any((dmarc, *values.values())) else "", dmarc, **values)


def _author(message: Transaction) -> str:
    """Return the domain of the From field, of the envelope if the field is not recorded."""
    author = parseaddr(message.header_from)[1] or message.sender
    return domain_of(canonical_address(author))


def _best(results: Sequence[PluginResult]) -> str:
    """Return "pass" if one of the results is, otherwise the first one."""
    values = [one.value for one in results]
    return "pass" if "pass" in values else next(iter(values), "")


def _checks(checked: Sequence[_Checked], filters: Filters) -> list[Row]:
    by_domain: dict[str, list[_Checked]] = defaultdict(list)
    for one in checked:
        by_domain[one.domain].append(one)
    order = sorted(by_domain.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Row((name, *_row(some)), _own(name, filters)) for name, some in order[:TOP]]


def _row(some: Sequence[_Checked]) -> Iterator[Value]:
    yield len(some)
    yield sum(one.spf == "pass" for one in some)
    yield sum(one.fact("spf") == "pass" for one in some)
    yield sum(one.dkim == "pass" for one in some)
    yield sum(one.fact("dkim") == "pass" for one in some)
    yield sum(one.result == "pass" for one in some)
    yield next((one.fact("policy") for one in some if one.fact("policy")), "-")
    applied = Counter(_applied(one) for one in some if one.result == "fail")
    yield ", ".join(f"{name} {count}" for name, count in applied.most_common()) or "-"
    yield sum(one.message.result == "refused" for one in some)


def _applied(one: _Checked) -> str:
    """Return what the policy asks for, or that a forwarder overrode it."""
    return "overridden" if one.fact("override") else one.fact("disposition") or "none"


def _failing(checked: Sequence[_Checked]) -> list[Row]:
    counts = Counts()
    for one in checked:
        if one.result == "fail":
            address = one.message.client.address
            key = (one.domain, network_of(address) or address, one.spf or "-", one.dkim or "-")
            counts.add(key, one.message.time)
    return rows_of(counts, TOP)
