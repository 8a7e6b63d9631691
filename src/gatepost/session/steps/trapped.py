"""RCPT for a trap: what the core answers, and the traps that only their answer reveals.

A trap that refuses the whole message is answered as a user is (`rcpt = "as-user"`), so that the
sender reaches DATA. A trap that refuses only itself is answered as an unknown recipient is. The
usual rules are asked first in both cases: a trap of another domain is refused as every other
recipient there, and look-ups take the same time.

Unknown recipients that look like message identifiers are traps without a list. A trap that was
learned has an effect only if the address is known not to exist at this moment, by the list of
recipients, a look-up or the next hop.

A recipient that is accepted here and does not exist is never delivered to: its hit refuses the
message, whatever plugins answer.
"""

from collections.abc import Awaitable
from typing import Final

from gatepost.model.decision import Verdict
from gatepost.model.session import Recipient, Transaction, TrapHit
from gatepost.plugin.chain import Answer
from gatepost.session import answers
from gatepost.session.setup import Setup
from gatepost.session.steps.callahead import NEXT_HOP
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.standing import standing
from gatepost.session.traps.verdict import (
    MESSAGE_IDS,
    REFUSES_ALL,
    REFUSES_RECIPIENT,
    add,
    hit_of,
    in_force,
    prove,
)
from gatepost.traps.senders import is_automatic
from gatepost.traps.verdicts import Standing, TrapClass

_TRUSTED: Final = Standing.TRUSTED
_ACCEPT: Final = Verdict.ACCEPT
_UNKNOWN: Final = answers.UNKNOWN_RECIPIENT.decision.reason
_ENTRY = "looks like a message identifier"


def answer_rcpt(
    setup: Setup, tx: Transaction, rcpt: Recipient, usual: answers.Ruling
) -> answers.Ruling:
    """Return the answer of the core to RCPT; `usual` is the one without trap rules."""
    if usual is None or isinstance(usual, Answer):
        return _answer(setup, tx, rcpt, usual)
    return _answer_later(setup, tx, rcpt, usual)


async def _answer_later(
    setup: Setup, tx: Transaction, rcpt: Recipient, pending: Awaitable[Answer | None]
) -> Answer | None:
    return _answer(setup, tx, rcpt, await pending)


def _answer(setup: Setup, tx: Transaction, rcpt: Recipient, usual: Answer | None) -> Answer | None:
    rule, is_unknown = setup.traps, _is_unknown(usual)
    if is_unknown:
        _note_absence(rule, tx, rcpt)
    hit = hit_of(tx, rcpt)
    if hit is None:
        return usual
    if in_force(hit) in REFUSES_RECIPIENT and not _refuses(usual):
        return answers.TRAP_RECIPIENT
    if rcpt.mta_reply is not None:
        return usual  # the client has this reply already
    return None if is_unknown and is_as_user(rule, tx, hit) else usual


def is_as_user(rule: TrapRule, tx: Transaction, hit: TrapHit) -> bool:
    """Return whether a trap that does not exist is answered as a user is."""
    return (
        rule.rcpt == "as-user"
        and in_force(hit) in REFUSES_ALL
        and standing(rule, tx) is not _TRUSTED
    )


def _refuses(answer: Answer | None) -> bool:
    return answer is not None and answer.decision.verdict is not _ACCEPT


def _is_unknown(answer: Answer | None) -> bool:
    return answer is not None and answer.decision.reason == _UNKNOWN and _refuses(answer)


def _note_absence(rule: TrapRule, tx: Transaction, rcpt: Recipient) -> None:
    """Apply what follows from an address that does not exist."""
    prove(rule, tx, rcpt)
    _find_message_id(rule, tx, rcpt)


def _find_message_id(rule: TrapRule, tx: Transaction, rcpt: Recipient) -> None:
    """Add a hit for an unknown recipient that looks like a message identifier."""
    if rule.message_ids == "off":
        return
    from gatepost.traps.message_ids import recognise  # noqa: PLC0415 - compiles 60 expressions

    found = recognise(rcpt.address.local)
    if found is not None and not is_automatic(tx.reverse_path.local) and not hit_of(tx, rcpt):
        note = f"form: {found.form}"
        hit = TrapHit(rcpt.address, _ENTRY, note, MESSAGE_IDS, 0, TrapClass.MESSAGE_ID.value)
        add(rule, tx, hit)


async def after_call_ahead(
    setup: Setup, tx: Transaction, rcpt: Recipient, pending: Awaitable[Answer | None]
) -> Answer | None:
    """Return the answer of the next hop, None for a trap that is answered as a user is."""
    answer = await pending
    if answer is None or answer.by != NEXT_HOP or answer.decision.code != 550:
        return answer
    _note_absence(setup.traps, tx, rcpt)
    hit = hit_of(tx, rcpt)
    return None if hit is not None and is_as_user(setup.traps, tx, hit) else answer
