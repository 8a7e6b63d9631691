"""The evidence of a trap hit: automatic answers and mistakes of a person are none.

A forged message makes innocent servers answer to an address that never wrote to them. Such an
answer proves nothing about the sender, and nothing about a trap that was found by observation. Most
are recognised at RCPT by their sender. The others show it in their content (RFC 3834), if it is
received: they are found at the end of the message. A trap that was found by observation does not
exist then, so the answer is refused in any case.

An answer goes to one address (RFC 3834 section 4). So the fields of a message that names more than
one recipient are ignored, and so is the sender of one with many unknown recipients: otherwise every
spammer would write them.
"""

from typing import Final

from gatepost.model.facts import set_fact
from gatepost.model.headers import Headers
from gatepost.model.message import Message
from gatepost.model.session import Transaction, TrapHit
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.standing import standing
from gatepost.traps.automatic import is_automatic_answer
from gatepost.traps.senders import is_robot
from gatepost.traps.verdicts import CLASSES, Standing, TrapClass, Treatment

# A person may address these by mistake.
_MISTAKES: Final = frozenset({TrapClass.RECYCLED, TrapClass.TYPO})
_NONE: Final = Treatment.NONE.value
_TRUSTED: Final = Standing.TRUSTED
_VIRTUAL: Final = TrapClass.VIRTUAL


def is_evidence(rule: TrapRule, tx: Transaction, hit: TrapHit) -> bool:
    """Return whether a hit proves something about the sender, as far as it is known at RCPT.

    Trusted senders include servers that forward mail of others. A hit without a treatment has an
    exempt sender, or a recipient that exists.
    """
    if hit.unproven or hit.treatment == _NONE:
        return False
    trap = CLASSES[hit.trap_class]
    if hit.guessable or trap in _MISTAKES or standing(rule, tx) is _TRUSTED:
        return False
    return trap is _VIRTUAL or not is_robot(tx.reverse_path.local)


def judge_content(tx: Transaction, message: Message) -> None:
    """Note in the hits of a message that it has turned out to be an automatic answer."""
    if _number_named(tx) > 1 or not _is_answer(message):
        return
    for hit in tx.trap_hits:
        set_fact(hit, "is_evidence", False)


def _number_named(tx: Transaction) -> int:
    """Return the number of recipients that the client has named."""
    named = None if tx.acting is None else tx.acting.named
    return len(tx.recipients if named is None else named) + len(tx.refused)


def _is_answer(message: Message) -> bool:
    try:
        return is_automatic_answer(Headers(message.header_block()))
    except (RuntimeError, ValueError):  # it is incomplete or too long
        return False
