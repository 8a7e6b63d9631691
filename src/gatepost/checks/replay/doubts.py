"""Reasons why a difference between a record and its replay is not certain.

A refusal that is new counts if the rule that made it needed nothing else. A refusal that is gone
counts if the rule that made it then could decide again; other plugins may still refuse.
"""

import re
from collections.abc import Iterable, Mapping

from gatepost.checks.replay.outcome import Outcome
from gatepost.checks.replay.uses import Uses
from gatepost.ledger.records import Transaction, Trap
from gatepost.plugin.chain import FAILED
from gatepost.session.steps.callahead import NEXT_HOP

HASHED = "addresses are hashed: rules about local parts were not decided"
_HASH = re.compile(r"[0-9a-f]{16}(?:@.*)?").fullmatch

_PARAMETERS = "parameters of MAIL and RCPT are not recorded"
_NUMBER = "the number of a refused message in its session is not recorded"
_STATE = "the refusal was about the state of the server at that time"
# Refusals of the past that a replay cannot repeat, by reason.
_BY_REASON: Mapping[str, str] = {
    "too-big": _PARAMETERS,
    "dsn-not-offered": _PARAMETERS,
    "dsn-success-denied": _PARAMETERS,
    "too-many-messages": _NUMBER,
    "storage": _STATE,
    "busy": _STATE,
    "too-many-attempts": _STATE,
    FAILED: "a plugin had failed at that time",
}
# The same by author.
_BY_AUTHOR: Mapping[str, str] = {
    NEXT_HOP: "next hops were not asked about recipients",
    "limits": "limits depend on other connections and on time",
    "protocol": "faults of the protocol are not recorded as they were sent",
}
# Reasons of the core that do not depend on local parts.
_WITHOUT_LOCAL_PART = frozenset(
    {"relay-denied", "no-route", "too-many-recipients", "too-many-messages"}
)
_BEFORE_ADDRESSES = frozenset({"connect", "helo"})


def is_hashed(tx: Transaction) -> bool:
    """Return whether the addresses of a transaction are hashed."""
    addresses = [tx.sender, *(one.address for one in tx.recipients)]
    return all(not one or _HASH(one) for one in addresses) and any(addresses)


def of_reply(old: Outcome, new: Outcome, uses: Uses) -> str:
    """Return why another reply is not certain, "" if it is."""
    return of_acceptance(old, uses) or of_refusal(new, uses)


def of_refusal(new: Outcome, uses: Uses) -> str:
    """Return why a new refusal is not certain, "" if it is."""
    return _lacking({new.by, ""}, uses.now)


def of_acceptance(old: Outcome, uses: Uses) -> str:
    """Return why it is not certain that an old refusal no longer applies, "" if it is.

    All uses of the plugin count: it can keep an answer, and then does not ask again.
    """
    known = _BY_REASON.get(old.reason) or _BY_AUTHOR.get(old.by)
    return known or _lacking({old.by}, uses.all)


def is_open(old: Outcome, uses: Uses) -> bool:
    """Return whether another plugin could refuse what an old refusal no longer stops."""
    return any(plugin != old.by for plugin, _ in uses.now)


def of_hashes(rule: Outcome, traps: Iterable[Trap] = ()) -> str:
    """Return why a refusal is not certain for hashed addresses, "" if it does."""
    if rule.hook in _BEFORE_ADDRESSES or rule.reason in _WITHOUT_LOCAL_PART:
        return ""
    if any(trap.entry.startswith("@") for trap in traps):
        return ""
    return HASHED


def _lacking(plugins: set[str], used: Iterable[tuple[str, str]]) -> str:
    """Return the first of these plugins that used what a replay does not have, "" for none."""
    found = sorted(one for one in used if one[0] in plugins)
    return f"{_named(found[0][0])} needs {found[0][1]}" if found else ""


def _named(plugin: str) -> str:
    return f"plugin {plugin}" if plugin else "a plugin"
