"""The notice to the postmaster about a trap that a known sender has hit.

Security: the sender is text of the client. It is in the body only, and with all characters made
printable.
"""

from email.message import EmailMessage

from gatepost.log.printable import printable
from gatepost.model.session import Transaction, TrapHit

_TEXT = """\
A message of a known sender hit a trap. This is probably a mistake.

Sender:     <{sender}>, {standing}: {reason}
Trap:       <{address}>
Entry:      {entry} in {place}
Reference:  {ref}

gatepost explain {ref} shows what happened to the message.
If legitimate senders use the address, remove the entry from the list.

The next notice about this entry comes in a day at the earliest.
"""


def causing(tx: Transaction) -> TrapHit | None:
    """Return the first hit of a transaction that has an effect, or would have without shadow mode.

    None if there is none.
    """
    return next((hit for hit in tx.trap_hits if hit.treatment != "none"), None)


def place_of(hit: TrapHit) -> str:
    """Return the list and line of a hit, or the setting of a rule."""
    return f"{hit.source}:{hit.line}" if hit.line else hit.source


def notice(tx: Transaction, hit: TrapHit, to: str, hostname: str) -> EmailMessage:
    """Return the notice about a transaction with the result `standing`."""
    standing = tx.results.get("standing")
    message = EmailMessage()
    message["From"] = message["To"] = to
    message["Subject"] = f"Trap hit by a known sender on {hostname}"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        _TEXT.format(
            sender=printable(str(tx.reverse_path)),
            standing="" if standing is None else standing.value,
            reason="" if standing is None else printable(str(standing.facts.get("reason", ""))),
            address=printable(str(hit.address)),
            entry=printable(hit.entry),
            place=printable(place_of(hit)),
            ref=tx.id,
        )
    )
    return message
