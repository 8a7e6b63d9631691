"""The virtual trap: many unknown recipients in one transaction (`gatepost.traps.many_unknown`).

It is evaluated at DATA, and whenever a transaction ends before it: at RSET, EHLO and QUIT, at a
limit and after a lost connection. Then there is nothing left to refuse, and the hit is only
recorded.

Unknown are the recipients that were refused with 550 5.1.1, by the list of known recipients, a
plugin or the next hop. Some next hops answer 550 without an enhanced code, or 5.1.10 (Exchange).
Recipients of other domains do not count at all.
"""

from collections.abc import Callable

from gatepost.model.address import local_key
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction, TrapHit
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.verdict import MANY_UNKNOWN, add
from gatepost.traps.verdicts import TrapClass

_ENTRY = "many unknown recipients"
_UNKNOWN = frozenset({"5.1.1", "5.1.10", None})


def count_unknown(rule: TrapRule, tx: Transaction, is_local: Callable[[str], bool]) -> None:
    """Add a hit to a transaction that has asked for many unknown recipients.

    `is_local` returns whether a domain, in canonical form, is local.
    """
    limits = rule.many_unknown
    if limits is None or len(tx.refused) < limits.minimum or _is_counted(tx):
        return
    refused = {_key(one): one for one in tx.refused}
    unknown = {key for key, one in refused.items() if _is_unknown(one.reply)}
    if len(unknown) < limits.minimum:
        return
    asked = {key for key, one in refused.items() if key in unknown or _is_ours(one, is_local)}
    asked.update(map(_key, tx.recipients))
    if limits.is_hit(len(unknown), len(asked)):
        note = f"{len(unknown)} of {len(asked)} recipients"
        first = next(one.address for key, one in refused.items() if key in unknown)
        add(rule, tx, TrapHit(first, _ENTRY, note, MANY_UNKNOWN, 0, TrapClass.VIRTUAL.value))


def _key(rcpt: Recipient) -> tuple[str, str]:
    """Return the canonical form of a recipient; its domain is canonical already."""
    return local_key(rcpt.address.local), rcpt.domain


def _is_counted(tx: Transaction) -> bool:
    return any(hit.source == MANY_UNKNOWN for hit in tx.trap_hits)


def _is_unknown(reply: Reply | None) -> bool:
    return reply is not None and reply.code == 550 and reply.enhanced in _UNKNOWN


def _is_ours(rcpt: Recipient, is_local: Callable[[str], bool]) -> bool:
    return not rcpt.domain or is_local(rcpt.domain)
