"""The core's own decisions. No plugin can override them.

Each rule runs before any plugin is asked and returns an `Answer`, or None if it has no opinion.
"""

import re
from collections.abc import Awaitable

from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Decision, Verdict, accept, defer, deny
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.chain import FAILED, Answer, Asked
from gatepost.plugin.server_facts import TrapRefusal
from gatepost.session.setup import Setup
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.verdict import REFUSES_ALL, hardest, spare
from gatepost.traps.verdicts import Treatment

CORE = "gatepost"

# The result of a rule, or an awaitable if it has to wait.
Ruling = Answer | Awaitable[Answer | None] | None


def _core(decision: Decision) -> Answer:
    return Answer(decision, CORE)


# RFC 1870 s6.1 (2)
TOO_BIG = _core(
    deny("Message size exceeds the limit", code=552, enhanced="5.3.4", reason="too-big")
)
# RFC 5321 s4.5.3.1.10
TOO_MANY_RECIPIENTS = _core(
    defer("Too many recipients", code=452, enhanced="4.5.3", reason="too-many-recipients")
)
TOO_MANY_MESSAGES = _core(
    defer(
        "Too many messages on this connection",
        enhanced="4.7.0",
        reason="too-many-messages",
        disconnect=True,
    )
)
# RFC 5321 s3.6.2 and RFC 3463 s3.8
RELAY_DENIED = _core(
    deny("Relaying denied: not a domain of this server", enhanced="5.7.1", reason="relay-denied")
)
# Sender-specified routing (user%host, host!user). A next hop that trusts this server may relay it,
# although the domain is local here.
ROUTE_DENIED = _core(
    deny(
        "Relaying denied: the local part names another host",
        enhanced="5.7.1",
        reason="relay-denied",
    )
)
# RFC 5321 s4.1.1.11, RFC 3461 s4
DSN_NOT_OFFERED = _core(
    deny("DSN is not offered", code=555, enhanced="5.5.4", reason="dsn-not-offered")
)
SUCCESS_DSN_DENIED = _core(
    deny(
        "NOTIFY=SUCCESS requires authentication",
        code=555,
        enhanced="5.5.4",
        reason="dsn-success-denied",
    )
)
UNKNOWN_RECIPIENT = _core(deny("No such mailbox", enhanced="5.1.1", reason="unknown-recipient"))
# The same reply, so that a trap that refuses only itself is not seen to be one.
TRAP_RECIPIENT = _core(deny("No such mailbox", enhanced="5.1.1", reason="trap-recipient"))
NO_ROUTE = _core(
    defer("No route for this recipient", code=451, enhanced="4.3.5", reason="no-route")
)
# RFC 4954 s6; the reply does not reveal whether the user exists
BAD_CREDENTIALS = _core(deny(reason="bad-credentials"))
TOO_MANY_ATTEMPTS = _core(
    defer("Too many authentication failures, try again later", reason="too-many-attempts")
)
BUSY = _core(defer("Server busy, try again later", reason="busy"))
# RFC 5321 s4.5.1: mail for postmaster is always accepted
POSTMASTER = _core(accept(reason="postmaster"))
QUARANTINE = _core(accept(reason="quarantined"))
STORAGE = _core(defer("Insufficient system storage", code=452, enhanced="4.3.1", reason="storage"))

# RFC 5321 s4.5.3.1: bounds what plugins that read the header block have to handle
HEADER_TOO_LONG = _core(
    deny("Header block exceeds the limit", code=552, enhanced="5.3.4", reason="header-too-long")
)

# RFC 5321 s6.3, RFC 3463 X.4.6
TOO_MANY_HOPS = _core(deny("Too many hops", code=554, enhanced="5.4.6", reason="too-many-hops"))
MAIL_LOOP = _core(
    deny("Mail loops back to this server", code=554, enhanced="5.4.6", reason="mail-loop")
)

_names_a_host = re.compile("[@%!]").search


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
    acting = tx.acting
    named = tx.recipients if acting is None or acting.named is None else acting.named
    if len(named) >= setup.limits.recipients:
        return TOO_MANY_RECIPIENTS
    if rcpt.domain and not setup.is_local(rcpt.domain):
        return _look_up(setup, tx, rcpt, None if _relays(setup, tx, rcpt) else RELAY_DENIED)
    if _names_a_host(rcpt.address.local):
        return ROUTE_DENIED
    if rcpt.user == "postmaster":
        return POSTMASTER
    if not setup.known:
        return _look_up(setup, tx, rcpt, _routed(setup, rcpt))
    if setup.exists(rcpt.address.key, f"{rcpt.user}@{rcpt.domain}"):
        return _routed(setup, rcpt)
    return _look_up(setup, tx, rcpt, UNKNOWN_RECIPIENT)


def _routed(setup: Setup, rcpt: Recipient) -> Answer | None:
    return NO_ROUTE if setup.router.route(rcpt) is None else None


def _look_up(setup: Setup, tx: Transaction, rcpt: Recipient, otherwise: Answer | None) -> Ruling:
    """Ask plugins whether a recipient exists; `otherwise` is the rule without their opinion."""
    if setup.lookups is None:
        return otherwise
    asked: list[Asked] | None = [] if setup.recorder.detailed else None
    answer = setup.lookups.ask(tx, rcpt, asked)
    if answer is None or isinstance(answer, Answer):
        _record(setup, tx, rcpt, answer, asked)
        return _looked_up(setup, tx, rcpt, answer, otherwise)
    recorded = _record_later(setup, tx, rcpt, answer, asked)
    return _look_up_later(setup, tx, rcpt, recorded, otherwise)


async def _look_up_later(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    pending: Awaitable[Answer | None],
    otherwise: Answer | None,
) -> Answer | None:
    return _looked_up(setup, tx, rcpt, await pending, otherwise)


async def _record_later(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    pending: Awaitable[Answer | None],
    asked: list[Asked] | None,
) -> Answer | None:
    answer = await pending
    _record(setup, tx, rcpt, answer, asked)
    return answer


def _record(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    answer: Answer | None,
    asked: list[Asked] | None,
) -> None:
    if asked is not None:
        setup.recorder.looked_up(tx, rcpt, answer, asked)


def _looked_up(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    answer: Answer | None,
    otherwise: Answer | None,
) -> Answer | None:
    """Apply the rules of a local domain if a plugin recognises the domain."""
    if answer is None:
        return otherwise
    if answer.decision.reason == FAILED:
        return answer
    if _names_a_host(rcpt.address.local):
        return ROUTE_DENIED
    if rcpt.user == "postmaster":
        return POSTMASTER
    if answer.decision.verdict is not Verdict.ACCEPT:
        return answer
    if tx.trap_hits:
        _spare(setup, tx, rcpt)
    return _routed(setup, rcpt)


def _spare(setup: Setup, tx: Transaction, rcpt: Recipient) -> None:
    """Retire a registered trap at whose address there is a mailbox now; `@domain` stays one."""
    hit = spare(tx, rcpt)
    if hit is not None and not hit.entry.startswith("@"):
        setup.registry.retire_later(hit.entry, "the address is a mailbox")


def _relays(setup: Setup, tx: Transaction, rcpt: Recipient) -> bool:
    """Return whether the client may send to a domain that is not local."""
    session = tx.session
    if session.auth is None and not session.in_relay_network:
        return False
    route = setup.router.route(rcpt)
    return route is not None and route.relays_for(session)


def trap_rule(rule: TrapRule, tx: Transaction) -> Answer | None:
    """Refuse a message at DATA if one of its recipients is a trap that asks for it."""
    return _trap_refusal(rule) if hardest(tx) is Treatment.REFUSE_ALL else None


def trap_rule_at_end(rule: TrapRule, tx: Transaction) -> Answer | None:
    """Refuse a message after its content."""
    return _trap_refusal(rule) if hardest(tx) in REFUSES_ALL else None


def _trap_refusal(rule: TrapRule) -> Answer:
    return _core(TrapRefusal(rule.reply, rule.delay).decide("trap"))
