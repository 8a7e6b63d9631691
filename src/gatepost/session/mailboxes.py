"""Look for a mailbox: in lists of recipients, then in tables, then with plugins (`on_lookup`).

A mailbox that exists takes the effect from a registered trap at its address, and one in a list or
table of recipients from every trap. Nothing here waits unless a table or a plugin does.
"""

from collections.abc import Awaitable, Callable

from gatepost.model.address import Address, AddressError
from gatepost.model.decision import Verdict
from gatepost.model.session import Recipient, Transaction, TrapHit
from gatepost.model.structs import Frozen
from gatepost.plugin.chain import FAILED, Answer, Asked
from gatepost.session.answers import (
    LOOKUP_FAILED,
    NO_ROUTE,
    POSTMASTER,
    ROUTE_DENIED,
    UNKNOWN_RECIPIENT,
    Ruling,
)
from gatepost.session.setup import Setup
from gatepost.session.traps.verdict import hit_of, spare
from gatepost.tables.known import keys_of
from gatepost.tables.table import TableError

# The answer about a mailbox that exists.
Existing = Callable[[Setup, Recipient], Answer | None]
# Applies the answer of plugins about a recipient; the last argument stands without one.
Conclusion = Callable[[Setup, Transaction, Recipient, Answer | None, Answer | None], Answer | None]


def names_a_host(local: str) -> bool:
    """Return whether a local part names another host (sender-specified routing)."""
    return "@" in local or "%" in local or "!" in local


def routed(setup: Setup, rcpt: Recipient) -> Answer | None:
    """Return the answer about a mailbox that exists: none, if a route matches it."""
    return NO_ROUTE if setup.router.route(rcpt) is None else None


def left_to_mta(_setup: Setup, _rcpt: Recipient) -> Answer | None:
    """Return no opinion: the mail server decides about a mailbox that exists."""
    return None


def check_mailbox(
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
    return look_up(setup, tx, rcpt, otherwise, conclude)


class _Mailbox(Frozen, frozen=True):
    """A recipient that tables are asked about, with the arguments of `check_mailbox`."""

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
        return look_up(setup, tx, rcpt, UNKNOWN_RECIPIENT, asked.conclude)
    if tx.trap_hits and found[0] != "@":
        _spare_known(setup, tx, rcpt, found)
    return asked.existing(setup, rcpt)


def look_up(
    setup: Setup,
    tx: Transaction,
    rcpt: Recipient,
    otherwise: Answer | None,
    conclude: Conclusion | None = None,
) -> Ruling:
    """Ask plugins whether a recipient exists; `otherwise` is the rule without their opinion.

    `conclude` applies their answer, `looked_up` by default.
    """
    if setup.lookups is None:
        return otherwise
    asked: list[Asked] | None = [] if setup.recorder.detailed else None
    answer = setup.lookups.ask(tx, rcpt, asked)
    if answer is None or isinstance(answer, Answer):
        _record(setup, tx, rcpt, answer, asked)
        return (conclude or looked_up)(setup, tx, rcpt, answer, otherwise)
    recorded = _record_later(setup, tx, rcpt, answer, asked)
    return _look_up_later(setup, tx, rcpt, recorded, otherwise, conclude=conclude or looked_up)


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


def looked_up(
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
    if names_a_host(rcpt.address.local):
        return ROUTE_DENIED
    if rcpt.user == "postmaster":
        return POSTMASTER
    if answer.decision.verdict is not Verdict.ACCEPT:
        return answer
    if tx.trap_hits:
        _spare(setup, tx, rcpt)
    return routed(setup, rcpt)


def looked_up_for_mta(
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
