"""The core's own decisions. No plugin can override them.

Each rule runs before any plugin is asked and returns an `Answer`, or None if it has no opinion.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from gatepost.model.address import Address, AddressError
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Decision, Verdict, accept, defer, deny
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Transaction, TrapHit
from gatepost.model.structs import Frozen
from gatepost.plugin.chain import FAILED, Answer, Asked
from gatepost.plugin.server_facts import TrapRefusal
from gatepost.session.setup import Setup
from gatepost.session.traps.rule import TrapRule
from gatepost.session.traps.verdict import REFUSES_ALL, hardest, hit_of, spare
from gatepost.tables.known import keys_of
from gatepost.tables.table import TableError
from gatepost.traps.verdicts import Treatment

CORE: Final = "gatepost"

_REFUSE_ALL: Final = Treatment.REFUSE_ALL
# The author of refusals by the mail server that asks.
MTA = "mail server"

# The result of a rule, or an awaitable if it has to wait.
Ruling = Answer | Awaitable[Answer | None] | None
# The answer about a mailbox that exists.
Existing = Callable[[Setup, Recipient], Answer | None]
# Applies the answer of plugins about a recipient; the last argument stands without one.
Conclusion = Callable[[Setup, Transaction, Recipient, Answer | None, Answer | None], Answer | None]


def _core(decision: Decision) -> Answer:
    return Answer(decision, CORE)


# RFC 1870 s6.1 (2)
TOO_BIG: Final = _core(
    deny("Message size exceeds the limit", code=552, enhanced="5.3.4", reason="too-big")
)
# RFC 5321 s4.5.3.1.10
TOO_MANY_RECIPIENTS: Final = _core(
    defer("Too many recipients", code=452, enhanced="4.5.3", reason="too-many-recipients")
)
TOO_MANY_MESSAGES: Final = _core(
    defer(
        "Too many messages on this connection",
        enhanced="4.7.0",
        reason="too-many-messages",
        disconnect=True,
    )
)
# RFC 5321 s3.6.2 and RFC 3463 s3.8
RELAY_DENIED: Final = _core(
    deny("Relaying denied: not a domain of this server", enhanced="5.7.1", reason="relay-denied")
)
# Sender-specified routing (user%host, host!user). A next hop that trusts this server may relay it,
# although the domain is local here.
ROUTE_DENIED: Final = _core(
    deny(
        "Relaying denied: the local part names another host",
        enhanced="5.7.1",
        reason="relay-denied",
    )
)
# RFC 5321 s4.1.1.11, RFC 3461 s4
DSN_NOT_OFFERED: Final = _core(
    deny("DSN is not offered", code=555, enhanced="5.5.4", reason="dsn-not-offered")
)
SUCCESS_DSN_DENIED: Final = _core(
    deny(
        "NOTIFY=SUCCESS requires authentication",
        code=555,
        enhanced="5.5.4",
        reason="dsn-success-denied",
    )
)
UNKNOWN_RECIPIENT: Final[Answer] = _core(
    deny("No such mailbox", enhanced="5.1.1", reason="unknown-recipient")
)
LOOKUP_FAILED: Final = _core(
    defer("Temporary lookup failure", code=451, enhanced="4.3.0", reason="lookup-failed")
)
# The same reply, so that a trap that refuses only itself is not seen to be one.
TRAP_RECIPIENT: Final = _core(deny("No such mailbox", enhanced="5.1.1", reason="trap-recipient"))
NO_ROUTE: Final = _core(
    defer("No route for this recipient", code=451, enhanced="4.3.5", reason="no-route")
)
# RFC 4954 s6; the reply does not reveal whether the user exists
BAD_CREDENTIALS: Final = _core(deny(reason="bad-credentials"))
TOO_MANY_ATTEMPTS: Final = _core(
    defer("Too many authentication failures, try again later", reason="too-many-attempts")
)
BUSY: Final = _core(defer("Server busy, try again later", reason="busy"))
# RFC 5321 s4.5.1: mail for postmaster is always accepted
POSTMASTER: Final = _core(accept(reason="postmaster"))
QUARANTINE: Final = _core(accept(reason="quarantined"))
STORAGE: Final = _core(
    defer("Insufficient system storage", code=452, enhanced="4.3.1", reason="storage")
)

# RFC 5321 s4.5.3.1: bounds what plugins that read the header block have to handle
HEADER_TOO_LONG: Final = _core(
    deny("Header block exceeds the limit", code=552, enhanced="5.3.4", reason="header-too-long")
)

# RFC 5321 s6.3, RFC 3463 X.4.6
TOO_MANY_HOPS: Final = _core(
    deny("Too many hops", code=554, enhanced="5.4.6", reason="too-many-hops")
)
MAIL_LOOP: Final = _core(
    deny("Mail loops back to this server", code=554, enhanced="5.4.6", reason="mail-loop")
)


def _names_a_host(local: str) -> bool:
    return "@" in local or "%" in local or "!" in local


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
        return _look_up(setup, tx, rcpt, None if _relays(setup, tx, rcpt) else RELAY_DENIED)
    if _names_a_host(rcpt.address.local):
        return ROUTE_DENIED
    if rcpt.user == "postmaster":
        return POSTMASTER
    return _check_mailbox(setup, tx, rcpt, _routed, _looked_up)


def mail_rule_of_mta(setup: Setup, _tx: Transaction) -> Answer | None:
    """Check MAIL of a mail server that asks, and that has size and rate limits of its own."""
    return STORAGE if setup.storage_full else None


def rcpt_rule_of_mta(setup: Setup, tx: Transaction, rcpt: Recipient) -> Ruling:
    """Check RCPT of a mail server that asks: its refusal stands, and relaying is its decision.

    Mailboxes are checked only if there is a list of them, or a plugin that looks them up.
    """
    if rcpt.mta_reply is not None:
        return _refused_by_mta(rcpt.mta_reply, is_unknown=is_unknown_to_mta(setup, rcpt))
    if _number_named(tx) >= setup.limits.recipients:
        return TOO_MANY_RECIPIENTS
    if rcpt.user == "postmaster" or not _is_ours(setup, rcpt):
        return None
    return _check_mailbox(setup, tx, rcpt, _left_to_mta, _looked_up_for_mta)


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


def _routed(setup: Setup, rcpt: Recipient) -> Answer | None:
    return NO_ROUTE if setup.router.route(rcpt) is None else None


def _left_to_mta(_setup: Setup, _rcpt: Recipient) -> Answer | None:
    """Return no opinion: the mail server decides about a mailbox that exists."""
    return None


def _check_mailbox(
    setup: Setup, tx: Transaction, rcpt: Recipient, existing: Existing, conclude: Conclusion
) -> Ruling:
    """Look for a mailbox in the lists, then in the tables, then ask plugins.

    `existing` has the answer about one that exists. Without lists and tables, every mailbox does.
    """
    if setup.known and setup.is_listed(rcpt.address.key, f"{rcpt.user}@{rcpt.domain}"):
        return existing(setup, rcpt)
    if setup.known_tables:
        return _ask_tables(_Mailbox(setup, tx, rcpt, existing, conclude))
    otherwise = UNKNOWN_RECIPIENT if setup.known else existing(setup, rcpt)
    return _look_up(setup, tx, rcpt, otherwise, conclude)


class _Mailbox(Frozen, frozen=True):
    """A recipient that tables are asked about, with the arguments of `_check_mailbox`."""

    setup: Setup
    tx: Transaction
    rcpt: Recipient
    existing: Existing
    conclude: Conclusion


def _ask_tables(asked: _Mailbox) -> Ruling:
    rcpt = asked.rcpt
    keys = keys_of(rcpt.address.key, f"{rcpt.user}@{rcpt.domain}")
    try:
        found = asked.setup.known_tables.find(keys)
    except TableError:
        return LOOKUP_FAILED
    return _found(asked, found) if isinstance(found, str) else _find_later(asked, found)


async def _find_later(asked: _Mailbox, pending: Awaitable[str]) -> Answer | None:
    try:
        found = await pending
    except TableError:
        return LOOKUP_FAILED
    ruling = _found(asked, found)
    return ruling if ruling is None or isinstance(ruling, Answer) else await ruling


def _found(asked: _Mailbox, found: str) -> Ruling:
    """Return the answer about a recipient; `found` is its key in a table, "" if it has none."""
    setup, tx, rcpt = asked.setup, asked.tx, asked.rcpt
    if not found:
        return _look_up(setup, tx, rcpt, UNKNOWN_RECIPIENT, asked.conclude)
    if tx.trap_hits and found[0] != "@":
        _spare_known(setup, tx, rcpt, found)
    return asked.existing(setup, rcpt)


def _look_up(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    otherwise: Answer | None,
    conclude: Conclusion | None = None,
) -> Ruling:
    """Ask plugins whether a recipient exists; `otherwise` is the rule without their opinion.

    `conclude` applies their answer, `_looked_up` by default.
    """
    if setup.lookups is None:
        return otherwise
    asked: list[Asked] | None = [] if setup.recorder.detailed else None
    answer = setup.lookups.ask(tx, rcpt, asked)
    if answer is None or isinstance(answer, Answer):
        _record(setup, tx, rcpt, answer, asked)
        return (conclude or _looked_up)(setup, tx, rcpt, answer, otherwise)
    recorded = _record_later(setup, tx, rcpt, answer, asked)
    return _look_up_later(setup, tx, rcpt, recorded, otherwise, conclude=conclude or _looked_up)


async def _look_up_later(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    pending: Awaitable[Answer | None],
    otherwise: Answer | None,
    *,
    conclude: Conclusion,
) -> Answer | None:
    return conclude(setup, tx, rcpt, await pending, otherwise)


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


def _looked_up_for_mta(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    answer: Answer | None,
    otherwise: Answer | None,
) -> Answer | None:
    """Apply the answer about a mailbox; the mail server has its own rules of domains."""
    if answer is None or answer.decision.reason == FAILED:
        return answer or otherwise
    if answer.decision.verdict is not Verdict.ACCEPT:
        return answer
    if tx.trap_hits:
        _spare(setup, tx, rcpt)
    return None


def _spare(setup: Setup, tx: Transaction, rcpt: Recipient) -> None:
    """Retire a registered trap at whose address there is a mailbox now; `@domain` stays one.

    A trap of a list stays one too: the administrator decides about it.
    """
    hit = hit_of(tx, rcpt)
    if hit is None or not hit.registered:
        return
    spare(hit)
    if not hit.entry.startswith("@"):
        setup.registry.retire_later(hit.entry, "the address is a mailbox")


def _spare_known(setup: Setup, tx: Transaction, rcpt: Recipient, found: str) -> None:
    """Take the effect from a trap whose address is in a table of recipients, as for a list.

    A trap that was listed with a subaddress is exempt only if the table has the subaddress too.
    """
    hit = hit_of(tx, rcpt)
    if hit is None or (found != rcpt.address.key and _is_entry_of(hit, rcpt)):
        return
    spare(hit)
    if hit.registered and not hit.entry.startswith("@"):
        setup.registry.retire_later(hit.entry, "the address is a known recipient")


def _is_entry_of(hit: TrapHit, rcpt: Recipient) -> bool:
    """Return whether the entry of a hit is exactly the address of a recipient."""
    try:
        return Address.parse(hit.entry).key == rcpt.address.key
    except AddressError:
        return False


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
    return _core(TrapRefusal(rule.reply, rule.delay).decide("trap"))
