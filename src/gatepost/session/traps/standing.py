"""The standing of a sender: stranger, acquainted or trusted.

Trusted are authenticated clients, and the senders of `traps.trusted`. A domain counts only if SPF
has proven it, because everybody can write it into MAIL.

Who is acquainted is known to a memory of good mail. The seam for it is the result `standing` of the
session or the message, with the value `acquainted` or `trusted`: any plugin that runs at `on_mail`
or earlier can add it. Without one, every other sender is a stranger.

Limits: SPF passes for all customers of a shared provider that a domain includes.
"""

from collections.abc import Sequence
from typing import Final

from gatepost.model.address import domain_key
from gatepost.model.session import Transaction
from gatepost.session.traps.rule import TrapRule
from gatepost.traps.verdicts import Standing

RESULT: Final = "standing"

_WORDS: Final = {one.value: one for one in Standing}
_STRANGER: Final = Standing.STRANGER
_TRUSTED: Final = Standing.TRUSTED


def standing(rule: TrapRule, tx: Transaction) -> Standing:
    """Return the standing of the sender of a message, as far as it is known now."""
    if tx.session.auth is not None or _is_trusted(rule, tx):
        return _TRUSTED
    word = None if tx.found is None else tx.found.value(RESULT)
    return _STRANGER if word is None else _WORDS.get(word, _STRANGER)


def _is_trusted(rule: TrapRule, tx: Transaction) -> bool:
    if not rule.trusted:
        return False
    if any(one.current.has_client(tx.session.peer.host) for one in rule.trusted):
        return True
    domain = _proven_domain(tx)
    return bool(domain) and any(one.current.has_domain(domain) for one in rule.trusted)


def is_proven_for(tx: Transaction, domains: Sequence[str]) -> bool:
    """Return whether SPF has proven that the sender is of one of these domains or below one."""
    domain = f".{_proven_domain(tx)}"
    return any(domain.endswith(f".{one}") for one in domains)


def _proven_domain(tx: Transaction) -> str:
    """Return the domain of the sender in canonical form if SPF has passed for it, or ""."""
    if tx.found is None or tx.found.value("spf") != "pass" or not tx.reverse_path.domain:
        return ""
    return domain_key(tx.reverse_path.domain)
