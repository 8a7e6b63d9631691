"""Retires registered traps at whose address there is a mailbox now.

The trap table exempts known recipients at once. Retiring makes it last: the trap does not come back
when the mailbox is closed and its owner still gets mail.
"""

from gatepost.registry.registry import Registry
from gatepost.traps.table import TrapTable, UnarmedReason


def retire_mailboxes(table: TrapTable, registry: Registry) -> None:
    """Retire the registered traps that are known recipients, in the background. Blocks."""
    for entry, reason in table.unarmed(registry.current):
        if reason is UnarmedReason.KNOWN:
            registry.retire_later(entry.text, "the address is a known recipient")
