"""The mails to the postmaster about traps that are probably mistakes.

Security: the sender is text of the client. It is in the body only, and with all characters made
printable.
"""

from email.message import EmailMessage

from gatepost.log.printable import printable
from gatepost.model.session import Transaction, TrapHit
from gatepost.traps.guard import DAYS, Counts
from gatepost.traps.statistics import Budget

_HIT = """\
A message of a known sender hit a trap. This is probably a mistake.

Sender:     <{sender}>, {standing}: {reason}
Trap:       <{address}>
Entry:      {entry} in {place}
Reference:  {ref}

gatepost explain {ref} shows what happened to the message.
{advice}

The next notice about this entry comes in a day at the earliest.
"""
_LISTED = "If legitimate senders use the address, remove the entry from the list."

_BUDGET = """\
Learned traps are expected to refuse {expected:.2f} of 100,000 legitimate messages.
The upper limit is {upper:.2f} (95 %), and the budget is {budget:g}.

In the last {days} days, {hits} messages from {sources} sources hit learned traps.
{once} traps were hit by exactly one legitimate sender.

gatepost traps list shows the traps. Set the doubtful ones to shadow.

The next notice about the budget comes in a day at the earliest.
"""

_GUARDED = "trap_guard"


def guard(tx: Transaction) -> None:
    """Keep that `trap_guard` sends the notices about registered traps of a transaction."""
    tx.notes[_GUARDED] = True


def is_guarded(tx: Transaction, hit: TrapHit) -> bool:
    """Return whether `trap_guard` sends the notice about a hit."""
    return hit.registered and _GUARDED in tx.notes


def causing(tx: Transaction) -> TrapHit | None:
    """Return the first hit of a transaction that has an effect, or would have without shadow mode.

    None if there is none.
    """
    return next((hit for hit in tx.trap_hits if hit.treatment != "none"), None)


def place_of(hit: TrapHit) -> str:
    """Return the list and line of a hit, or the setting of a rule."""
    return f"{hit.source}:{hit.line}" if hit.line else hit.source


def notice(
    tx: Transaction, hit: TrapHit, to: str, hostname: str, *, advice: str = _LISTED
) -> EmailMessage:
    """Return the notice about a transaction with the result `standing`.

    `advice` is what was done about it, and what the postmaster can do.
    """
    standing = tx.results.get("standing")
    text = _HIT.format(
        sender=printable(str(tx.reverse_path)),
        standing="" if standing is None else standing.value,
        reason="" if standing is None else printable(str(standing.facts.get("reason", ""))),
        address=printable(str(hit.address)),
        entry=printable(hit.entry),
        place=printable(place_of(hit)),
        ref=tx.id,
        advice=advice,
    )
    return _mail(to, f"Trap hit by a known sender on {hostname}", text)


def budget_notice(
    counts: Counts, found: Budget, budget: float, to: str, hostname: str
) -> EmailMessage:
    """Return the notice that learned traps are expected to cost more than the budget."""
    text = _BUDGET.format(
        expected=found.expected,
        upper=found.upper,
        budget=budget,
        days=DAYS,
        hits=counts.hits,
        sources=counts.sources,
        once=counts.once,
    )
    return _mail(to, f"Expected losses to learned traps on {hostname}", text)


def _mail(to: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = message["To"] = to
    message["Subject"] = subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
