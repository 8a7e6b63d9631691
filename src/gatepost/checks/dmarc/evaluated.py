"""The DMARC result of one transaction in the ledger, as a row of an aggregate report (RFC 9990).

Trusts: nothing. Records have text of clients, and facts of any plugin with these names.

Limits: only results "pass" and "fail" count, because the others have no evaluated policy. Clients
without an IP address have no row.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple

from gatepost.ledger.records import PluginResult, Transaction
from gatepost.mailauth.dmarc import Record, parse_record
from gatepost.mailauth.dmarc.report import DkimRow, Override, Row, SpfRow

# A policy domain is part of the name of a file.
_DOMAIN = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")
_DKIM = frozenset({"pass", "fail", "policy", "neutral", "temperror", "permerror"})
_SPF = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})
# A client repeats the others.
_FINAL = frozenset({"accepted", "refused"})
_POLICIES = frozenset({"quarantine", "reject"})


class Evaluated(NamedTuple):
    """A message: the domain that publishes the policy, its record without rua, and the row.

    `requests_reports` is whether the record has addresses for aggregate reports.
    """

    policy_domain: str
    published: Record
    requests_reports: bool
    row: Row


def evaluated(record: Transaction) -> Evaluated | None:
    """Return what DMARC found about a message, None if it evaluated no policy."""
    found = _first(record, "dmarc")
    if found is None or found.value not in ("pass", "fail") or record.result not in _FINAL:
        return None
    domain = str(found.facts.get("record", ""))
    published = _parsed(str(found.facts.get("published", "")))
    source = _ip(record.client.address)
    if not (source and published and _DOMAIN.fullmatch(domain)):
        return None
    row = Row(
        source,
        1,
        _disposition(record, found),
        dkim=found.facts.get("dkim") == "pass",
        spf=found.facts.get("spf") == "pass",
        header_from=str(found.facts.get("domain", "")),
        envelope_from=record.sender.rpartition("@")[2],
        reasons=tuple(_reasons(record, found, published)),
        signatures=tuple(_signatures(record)),
        sender=_sender(record),
    )
    return Evaluated(domain, published, bool(found.facts.get("rua")), row)


@lru_cache(maxsize=1000)
def _parsed(text: str) -> Record | None:
    return parse_record(text)


def _first(record: Transaction, name: str) -> PluginResult | None:
    return next((one for one in record.results if one.name == name), None)


def _ip(address: str) -> str:
    """Return an IP address without a zone, "" for what is none."""
    try:
        return str(ip_address(address.partition("%")[0]))
    except ValueError:
        return ""


def _disposition(record: Transaction, found: PluginResult) -> Any:
    """Return what was done because of the policy; see `Row`."""
    policy = found.facts.get("policy")
    if found.value == "pass":
        return "pass" if policy in _POLICIES else "none"
    if found.facts.get("disposition") not in _POLICIES or found.facts.get("override"):
        return "none"
    if record.result == "refused":
        return "reject"
    return "quarantine" if found.facts.get("held") else "none"


def _reasons(
    record: Transaction, found: PluginResult, published: Record
) -> Iterator[tuple[Override, str]]:
    """Yield why something else was done than the domain requests."""
    if found.value == "pass":
        return
    if published.testing:
        yield "policy_test_mode", ""
    requested = found.facts.get("disposition", "none")
    if found.facts.get("override"):
        yield "trusted_forwarder", ""
    elif requested != _disposition(record, found):
        yield "local_policy", ""


def _signatures(record: Transaction) -> Iterator[DkimRow]:
    for one in record.results:
        domain = _text(one.facts, "domain")
        if one.name == "dkim" and one.value in _DKIM and domain:
            yield DkimRow(domain, _text(one.facts, "selector"), one.value)


def _sender(record: Transaction) -> SpfRow | None:
    found = _first(record, "spf")
    domain = "" if found is None else _text(found.facts, "domain")
    if found is None or found.value not in _SPF or not domain:
        return None
    return SpfRow(domain, found.value)


def _text(facts: Mapping[str, Any], name: str) -> str:
    return str(facts.get(name, ""))
