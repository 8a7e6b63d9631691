"""The plugins of the policy: the directory, and the two rules that the engine has only a seam for.

The engine decides about lists, classes, many unknown recipients and message identifiers itself.
`Memory` adds the result `standing`, from good mail and from mail that our users sent, and applies
the memory of networks and domains: it marks by the result `traps`, or refuses after the content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost import (
    Address,
    Decision,
    Lookup,
    MessageTransaction,
    Plugin,
    Recipient,
    Transaction,
    deny,
    local,
    unknown,
)
from gatepost.traps.memory import TrapMemory
from gatepost.traps.verdicts import MEMORY_TABLE, Standing, Treatment
from sim.policy.senders import Senders, identify

if TYPE_CHECKING:
    from sim.policy.settings import Settings
    from sim.world import World

_REFUSALS = (Treatment.REFUSE_ALL.value, Treatment.REFUSE_ALL_AFTER_CONTENT.value)


class Directory(Plugin):
    """Answers which recipients exist: the users. Traps are the engine's."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._users = world.user_set

    def on_lookup(self, _tx: Transaction, rcpt: Recipient, /) -> Lookup:
        """Answer for every recipient: all domains are the site's."""
        return local() if f"{rcpt.user}@{rcpt.domain}" in self._users else unknown()


class Memory(Plugin):
    """The standing of senders, and the memory of trap hits."""

    after = frozenset({"known_facts"})

    def __init__(self, world: World, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._senders = Senders(settings, world.providers, world.written_to)
        self._memory = TrapMemory()

    def on_mail(self, tx: Transaction, _sender: Address, /) -> None:
        """Add the standing of the sender."""
        standing = self._senders.standing(tx.received, identify(tx))
        if standing is not Standing.STRANGER:
            tx.results.add("standing", standing.value)

    def on_message(self, tx: MessageTransaction, /) -> Decision | None:
        """Apply the memory to a message without a hit of its own, and learn from what passes."""
        if self._has_hit(tx):
            return None
        who, looks_bad = identify(tx), tx.results.value("content") == "bad"
        found = self._recall(tx)
        if found is Treatment.REFUSE_ALL_AFTER_CONTENT:
            return deny("Message refused by local policy", code=554, enhanced="5.7.1")
        if found is not Treatment.NONE:
            tx.results.replace("traps", "marked")
        if found is Treatment.NONE or not looks_bad:
            self._senders.accepted(tx.received, who, looks_bad=looks_bad)
        return None

    def _recall(self, tx: Transaction) -> Treatment:
        standing = Standing(tx.results.value("standing") or Standing.STRANGER.value)
        if self._settings.memory == "off" or MEMORY_TABLE[standing] is Treatment.NONE:
            return Treatment.NONE
        keys = self._senders.keys(tx.received, identify(tx))
        recall = self._memory.recall(tx.received, keys)
        if recall.refuses and self._settings.memory == "refuse":
            return Treatment.REFUSE_ALL_AFTER_CONTENT
        return MEMORY_TABLE[standing] if recall.marks else Treatment.NONE

    def _has_hit(self, tx: Transaction) -> bool:
        return any(hit.treatment in _REFUSALS for hit in tx.trap_hits)

    def on_reset(self, tx: Transaction, /) -> None:
        """Remember the sender of a transaction that hit a trap, however it ended."""
        who = identify(tx)
        if not self._has_hit(tx) or (self._settings.bounces and who.is_bounce):
            return
        self._memory.remember(tx.received, self._senders.keys(tx.received, who))
        self._senders.hit(who)
