"""The core's own decisions. No plugin can override them.

Each rule runs before any plugin is asked and returns an `Answer`, or None if it has no opinion.
"""

from functools import lru_cache
from typing import Final

from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import defer, deny
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.chain import Answer
from gatepost.plugin.server_facts import TrapRefusal
from gatepost.session.answers import (
    BAD_CREDENTIALS,
    MTA,
    POSTMASTER,
    RELAY_DENIED,
    ROUTE_DENIED,
    STORAGE,
    TOO_BIG,
    TOO_MANY_MESSAGES,
    TOO_MANY_RECIPIENTS,
    UNKNOWN_RECIPIENT,
    Ruling,
    core,
)
from gatepost.session.mailboxes import (
    check_mailbox,
    left_to_mta,
    look_up,
    looked_up,
    looked_up_for_mta,
    names_a_host,
    routed,
)
from gatepost.session.setup import Setup
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.verdict import REFUSES_ALL, hardest
from gatepost.traps.verdicts import Treatment

_REFUSE_ALL: Final = Treatment.REFUSE_ALL


def auth_rule(attempt: AuthAttempt) -> Answer | None:
    """Refuse a login as another user, and an invalid SCRAM proof, before plugins are asked."""
    if attempt.authzid not in ("", attempt.user) or (
        attempt.password is None and not attempt.proven
    ):
        return BAD_CREDENTIALS
    return None


def mail_rule(setup: Setup, tx: Transaction) -> Answer | None:
    """Check MAIL: the number of messages, the declared size, and free space for another."""
    if tx.session.transactions > setup.limits.transactions:
        return TOO_MANY_MESSAGES
    if setup.storage_full:
        return STORAGE
    size = tx.params.get("SIZE")
    return TOO_BIG if size and int(size) > setup.limits.message_size else None


def rcpt_rule(setup: Setup, tx: Transaction, rcpt: Recipient) -> Ruling:
    """Check RCPT: refuse to relay, refuse unknown mailboxes, always accept postmaster."""
    if _number_named(tx) >= setup.limits.recipients:
        return TOO_MANY_RECIPIENTS
    domain = rcpt.domain
    if domain and not setup.is_local(domain):
        return look_up(setup, tx, rcpt, None if _relays(setup, tx, rcpt) else RELAY_DENIED)
    if names_a_host(rcpt.address.local):
        return ROUTE_DENIED
    if rcpt.user == "postmaster":
        return POSTMASTER
    return check_mailbox(setup, tx, rcpt, routed, looked_up)


def mail_rule_of_mta(setup: Setup, _tx: Transaction) -> Answer | None:
    """Check MAIL of a mail server that asks, and that has size and rate limits of its own."""
    return STORAGE if setup.storage_full else None


def rcpt_rule_of_mta(setup: Setup, tx: Transaction, rcpt: Recipient) -> Ruling:
    """Check RCPT of a mail server that asks: its refusal stands, and relaying is its decision.

    Mailboxes are checked only if there is a list or table of them, or a plugin that looks them up.
    """
    if rcpt.mta_reply is not None:
        return _refused_by_mta(rcpt.mta_reply, is_unknown=is_unknown_to_mta(setup, rcpt))
    if _number_named(tx) >= setup.limits.recipients:
        return TOO_MANY_RECIPIENTS
    if rcpt.user == "postmaster" or not _is_ours(setup, rcpt):
        return None
    return check_mailbox(setup, tx, rcpt, left_to_mta, looked_up_for_mta)


def is_unknown_to_mta(setup: Setup, rcpt: Recipient) -> bool:
    """Return whether a mail server refuses a recipient because it has no such mailbox.

    Refusals for now and for other reasons, such as relaying, prove nothing about the address. Nor
    does a domain that is not local: the sender may have mistyped it.
    """
    reply = rcpt.mta_reply
    if reply is None or reply.enhanced is None or not reply.enhanced.startswith("5.1."):
        return False
    return _is_ours(setup, rcpt)


def _is_ours(setup: Setup, rcpt: Recipient) -> bool:
    return not rcpt.domain or setup.is_local(rcpt.domain)


def _refused_by_mta(reply: Reply, *, is_unknown: bool) -> Answer:
    refuse = deny if reply.code >= 500 else defer
    reason = UNKNOWN_RECIPIENT.decision.reason if is_unknown else "refused-by-mta"
    decision = refuse(reply.text, code=reply.code, enhanced=reply.enhanced, reason=reason)
    return Answer(decision, MTA)


def _number_named(tx: Transaction) -> int:
    """Return the number of recipients that the client has named and that were accepted."""
    named = None if tx.acting is None else tx.acting.named
    return len(tx.recipients if named is None else named)


def _relays(setup: Setup, tx: Transaction, rcpt: Recipient) -> bool:
    """Return whether the client may send to a domain that is not local."""
    session = tx.session
    if session.auth is None and not session.in_relay_network:
        return False
    route = setup.router.route(rcpt)
    return route is not None and route.relays_for(session)


def trap_rule(rule: TrapRule, tx: Transaction) -> Answer | None:
    """Refuse a message at DATA if one of its recipients is a trap that asks for it."""
    return _trap_refusal(rule) if hardest(tx) is _REFUSE_ALL else None


def trap_rule_at_end(rule: TrapRule, tx: Transaction) -> Answer | None:
    """Refuse a message after its content."""
    return _trap_refusal(rule) if hardest(tx) in REFUSES_ALL else None


@lru_cache(maxsize=4)
def _trap_refusal(rule: TrapRule) -> Answer:
    return core(TrapRefusal(rule.reply, rule.delay).decide("trap"))
