"""The check of a client and a domain: check_host() of RFC 7208 section 4.

Theory of operation
-------------------
A check is a generator that yields questions (`gatepost.net.questions`). One `_Run` holds what all
records of a check share: the client, the counted look-ups, the trace. The record of a domain is
found, parsed completely, and its mechanisms are evaluated in order. "include" and "redirect" do the
same for another domain; the limit of look-ups also limits their depth. SpfError ends the check from
any depth with temperror or permerror.
"""

from collections.abc import Callable

from gatepost.mailauth.hosts import IPAddress, is_name
from gatepost.mailauth.shown import shown
from gatepost.mailauth.spf.client import Client, ascii_domain
from gatepost.mailauth.spf.explanation import fetch_explanation
from gatepost.mailauth.spf.lookups import Lookups
from gatepost.mailauth.spf.mechanisms import ASKING, AT_ONCE, match_at_once
from gatepost.mailauth.spf.parse import RecordError, is_record, parse_record
from gatepost.mailauth.spf.problem import SpfError
from gatepost.mailauth.spf.record import Mechanism, Modifier, Record
from gatepost.mailauth.spf.result import Limits, SpfResult, Word
from gatepost.model.structs import Frozen
from gatepost.net.questions import Check

_LIMITS = Limits()
DEFAULT = "default"
_ANSWERS = ("does not match", "matches")
# Mechanisms whose match is not clear from the term itself.
_EXPLAINED = frozenset({"include", "mx", "ptr"})

Note = Callable[[str], object]


class _Outcome(Frozen, frozen=True):
    """The result of one domain: the reason, the term that matched, the record with that term.

    `match` is the innermost term that matched, which is in the record of an included domain.
    """

    word: Word
    reason: str
    mechanism: str = ""
    match: str = ""
    domain: str = ""
    record: Record | None = None


class _Run:
    """The state of one check."""

    __slots__ = ("lookups", "note")

    def __init__(self, lookups: Lookups, note: Note | None) -> None:
        self.lookups = lookups
        self.note = note


def check_host(
    ip: str | IPAddress,
    domain: str,
    sender: str,
    helo: str,
    *,
    receiver: str = "",
    limits: Limits = _LIMITS,
    explain: bool = False,
    now: int = 0,
    note: Note | None = None,
) -> Check[SpfResult]:
    """Return the result of SPF for a client (RFC 7208 section 4).

    `ip` is the client's address, `domain` the domain to check, "" for that of the sender. `sender`
    is the envelope's reverse-path without angle brackets; the null sender is postmaster at the HELO
    name `helo`. With `explain`, a result "fail" has the explanation of the domain's owner. It can
    contain `receiver`, the name of this host, and `now`, in seconds since 1970. `note` is called
    with a text for people at each step. Raises ValueError if `ip` is no IP address.
    """
    client = Client(ip, sender, helo, receiver, now)
    checked = ascii_domain(domain) or client.sender_domain
    run = _Run(Lookups(client, limits), note)
    try:
        outcome = yield from _check(run, checked)
    except SpfError as error:
        return SpfResult(error.word, str(error), checked)
    explanation = ""
    if explain and outcome.word == "fail" and outcome.record is not None:
        explanation = yield from fetch_explanation(run.lookups, outcome.record, outcome.domain)
    return SpfResult(outcome.word, outcome.reason, checked, outcome.mechanism, explanation)


def _check(run: _Run, domain: str) -> Check[_Outcome]:
    """Return the outcome of a domain; raises SpfError."""
    if not _is_checkable(domain):
        return _Outcome("none", f"{shown(domain) or 'an empty text'} is not a domain name")
    text = yield from _find_record(run, domain)
    if text is None:
        return _Outcome("none", f"{shown(domain)} has no SPF record")
    record = _parsed(run, text, domain)
    for mechanism in record.mechanisms:
        if mechanism.name in AT_ONCE:
            found = "" if match_at_once(run.lookups.client, mechanism) else None
        else:
            found = yield from _match(run, mechanism, domain)
        if run.note is not None:
            run.note(f"{_place(mechanism.text, domain)} {_ANSWERS[found is not None]}")
        if found is not None:
            return _matched(mechanism, found, domain, record)
    if record.redirect is not None:
        return (yield from _redirect(run, record.redirect, domain))
    return _Outcome("neutral", f"no term of {shown(domain)} matches", DEFAULT)


def _matched(mechanism: Mechanism, found: str, domain: str, record: Record) -> _Outcome:
    place = _place(mechanism.text, domain)
    reason = f"{place} ({found})" if mechanism.name in _EXPLAINED else place
    match = found if mechanism.name == "include" else reason
    return _Outcome(mechanism.result, reason, mechanism.text, match, domain, record)


def _place(term: str, domain: str) -> str:
    return f"{shown(term)} of {shown(domain)}"


def _is_checkable(domain: str) -> bool:
    """Return whether a domain can have a record (section 4.3); an address literal cannot."""
    _, dot, label = domain.rpartition(".")
    return bool(dot) and is_name(domain) and not label.isdigit() and domain[0] != "["


def _find_record(run: _Run, domain: str) -> Check[str | None]:
    """Return the record of a domain, None if it has none (section 4.5)."""
    records = [one for one in (yield from run.lookups.ask("TXT", domain)) if is_record(one)]
    if len(records) > 1:
        raise SpfError("permerror", f"{shown(domain)} has {len(records)} SPF records")
    return records[0] if records else None


def _parsed(run: _Run, text: str, domain: str) -> Record:
    if run.note is not None:
        run.note(f"{shown(domain)}: {shown(text)}")
    most = run.lookups.limits.octets
    if len(text) > most:
        raise SpfError("permerror", f"record of {shown(domain)}: longer than {most} octets")
    try:
        return parse_record(text)
    except RecordError as error:
        raise SpfError("permerror", f"record of {shown(domain)}: {error}") from None


def _match(run: _Run, mechanism: Mechanism, domain: str) -> Check[str | None]:
    """Return what matched, None if the mechanism does not match; this asks questions."""
    run.lookups.count_term(mechanism.text, domain)
    if mechanism.name == "include":
        return (yield from _include(run, mechanism, domain))
    return (yield from ASKING[mechanism.name](run.lookups, mechanism, domain))


def _include(run: _Run, mechanism: Mechanism, domain: str) -> Check[str | None]:
    """Match if the included domain has the result "pass" (section 5.2)."""
    assert mechanism.target is not None  # the syntax of include
    target = yield from run.lookups.expand(mechanism.target, mechanism.text, domain)
    outcome = yield from _check(run, target)
    if outcome.word == "none":
        raise SpfError("permerror", f"{_place(mechanism.text, domain)}: {outcome.reason}")
    return outcome.match if outcome.word == "pass" else None


def _redirect(run: _Run, redirect: Modifier, domain: str) -> Check[_Outcome]:
    """Return the outcome of another domain (section 6.1)."""
    run.lookups.count_term(redirect.text, domain)
    target = yield from run.lookups.expand(redirect.target, redirect.text, domain)
    outcome = yield from _check(run, target)
    if outcome.word == "none":
        raise SpfError("permerror", f"{_place(redirect.text, domain)}: {outcome.reason}")
    return outcome
