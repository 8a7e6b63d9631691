"""The effect of the trap hits of a transaction: the hardest treatment of all of them.

The treatment of a hit is fixed when the recipient is named, before any plugin is asked about it. So
the replies to RCPT and to DATA never contradict each other, and nothing that happens later hides
the hit.

Authenticated clients are exempt: a reply to all recipients of an old message is not spam. This is
milder than the column "trusted" of the table, which is for other servers.
"""

from secrets import SystemRandom
from typing import Final

from gatepost.model.decision import deny
from gatepost.model.facts import keep, set_fact
from gatepost.model.session import Recipient, Transaction, TrapHit
from gatepost.plugin.trouble import without_effect
from gatepost.session.traps.evidence import is_evidence
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.standing import is_proven_for, standing
from gatepost.traps.senders import is_automatic
from gatepost.traps.verdicts import CLASSES, TREATMENTS, Standing, TrapClass, Treatment, treatment

# The sources of hits without an entry: the settings of their rules.
MESSAGE_IDS: Final = "traps.message_ids"
MANY_UNKNOWN: Final = "traps.many_unknown"

REFUSES_ALL: Final = frozenset({Treatment.REFUSE_ALL, Treatment.REFUSE_ALL_AFTER_CONTENT})
REFUSES_RECIPIENT: Final = frozenset(
    {Treatment.RECIPIENT_ONLY_REST_MARKED, Treatment.RECIPIENT_ONLY}
)
MARKS: Final = frozenset({Treatment.MARKED_AFTER_CONTENT, Treatment.RECIPIENT_ONLY_REST_MARKED})

# Found by observation: an automatic answer to a forged message proves nothing about these.
_FOUND: Final = frozenset({TrapClass.LEARNED, TrapClass.MESSAGE_ID})
# The treatments from the hardest to none, and the place of each by its word.
_ORDER: Final = tuple(Treatment)
_PLACES: Final = {one.value: at for at, one in enumerate(Treatment)}
_NONE: Final = Treatment.NONE
_LEARNED: Final = TrapClass.LEARNED.value
# What an entry of `gatepost allow` takes the effect from, for the record.
_SERVER: Final = "gatepost"
_REFUSAL: Final = deny(reason="trap")
_chance = SystemRandom().random


def add(rule: TrapRule, tx: Transaction, hit: TrapHit) -> None:
    """Add a hit to a transaction, with its treatment."""
    rule_in_shadow = hit.source == MESSAGE_IDS and rule.message_ids != "armed"
    set_fact(hit, "treatment", _treatment(rule, tx, hit).value)
    set_fact(hit, "shadow", hit.shadow or rule_in_shadow or rule.action == "shadow")
    set_fact(hit, "unproven", hit.trap_class == _LEARNED)
    set_fact(hit, "is_evidence", is_evidence(rule, tx, hit))
    keep(tx, "trap_hits", hit)


def hit_of(tx: Transaction, rcpt: Recipient) -> TrapHit | None:
    """Return the hit of the recipient that was named last, None if it is no trap."""
    hit = tx.trap_hits[-1] if tx.trap_hits else None
    return hit if hit is not None and hit.address is rcpt.address else None


def prove(rule: TrapRule, tx: Transaction, rcpt: Recipient) -> None:
    """Let the hit of a recipient take effect: it is known now that the address does not exist."""
    hit = hit_of(tx, rcpt)
    if hit is not None:
        set_fact(hit, "unproven", False)
        set_fact(hit, "is_evidence", is_evidence(rule, tx, hit))


def spare(hit: TrapHit) -> None:
    """Take the effect from the hit of a trap that has turned out to be a mailbox."""
    set_fact(hit, "treatment", Treatment.NONE.value)
    set_fact(hit, "is_evidence", False)


def _treatment(rule: TrapRule, tx: Transaction, hit: TrapHit) -> Treatment:
    if tx.session.auth is not None or (hit.exempt and is_proven_for(tx, hit.exempt)):
        return _NONE
    trap = CLASSES[hit.trap_class]
    if trap in _FOUND and is_automatic(tx.reverse_path.local):
        return _NONE
    sender = standing(rule, tx)
    found = treatment(trap, sender, guessable=hit.guessable, changes=rule.changes)
    if found is not _NONE and _is_lifted(rule, tx):
        return _NONE
    if found is Treatment.REFUSE_ALL and rule.verdict != "data":
        return Treatment.REFUSE_ALL_AFTER_CONTENT
    return found


def _is_lifted(rule: TrapRule, tx: Transaction) -> bool:
    """Return whether `gatepost allow` takes the effect from traps, and record that."""
    entry = None if rule.lifting is None else rule.lifting.entry_for_traps(tx)
    if entry is None:
        return False
    without_effect(_SERVER, "on_rcpt", _REFUSAL, (tx,), allowed=str(entry))
    return True


def in_force(hit: TrapHit) -> Treatment:
    """Return the effect of a hit: NONE in shadow mode, and if its address may exist."""
    return _NONE if hit.shadow or hit.unproven else TREATMENTS[hit.treatment]


def was_shadowed(hit: TrapHit) -> bool:
    """Return whether a hit would have had an effect without shadow mode."""
    return hit.shadow and hit.treatment != Treatment.NONE.value


def hardest(tx: Transaction) -> Treatment:
    """Return the effect of all hits of a transaction together."""
    found = [_PLACES[hit.treatment] for hit in tx.trap_hits if not (hit.shadow or hit.unproven)]
    return _ORDER[min(found)] if found else _NONE


def is_held(rule: TrapRule, tx: Transaction) -> bool:
    """Return, by chance, whether a message that is to be refused is accepted and held instead.

    Only messages of strangers are, and only without a recipient that is no trap: mail to a user
    must be delivered or refused.
    """
    if rule.verdict != "hold" or standing(rule, tx) is not Standing.STRANGER:
        return False
    return has_only_traps(tx) and _chance() < rule.hold_share


def has_only_traps(tx: Transaction) -> bool:
    """Return whether every recipient is a trap that refuses the message.

    A plugin can put a user in the place of a trap, so those that the client named count too.
    """
    named = None if tx.acting is None else tx.acting.named
    traps = {hit.address.key for hit in tx.trap_hits if in_force(hit) in REFUSES_ALL}
    return {one.address.key for one in (*tx.recipients, *(named or ()))} <= traps
