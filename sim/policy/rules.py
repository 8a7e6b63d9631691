"""The trap rules as plugins of the simulator, on the pure rules of `gatepost.traps`.

The engine finds the traps of the lists (in shadow mode). These plugins decide by the table of
classes and standing, and add the rules that the engine does not have: many unknown recipients,
message identifiers, and the memory.

Limits: a trap that may refuse the message is accepted at RCPT like a user; an unknown recipient
that looks like a message identifier is answered 550.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from gatepost import (
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
from gatepost.traps.many_unknown import ManyUnknown
from gatepost.traps.memory import TrapMemory
from gatepost.traps.message_ids import recognise
from gatepost.traps.verdicts import MEMORY_TABLE, Standing, TrapClass, Treatment, treatment
from sim.policy.senders import Identity, Senders, identify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.policy.settings import Settings
    from sim.world import World

# The name of the field is that of the player.
MARK = "X-Gatepost-Trap", "marked"
_TEXT = "Message refused by local policy"
_HARDEST = tuple(Treatment)
_REFUSALS = (Treatment.REFUSE_ALL, Treatment.REFUSE_ALL_AFTER_CONTENT)
_MARKS = (Treatment.MARKED_AFTER_CONTENT, Treatment.RECIPIENT_ONLY_REST_MARKED)
_UNKNOWN = "5.1.1"
_DONE = "trap rules"


class Directory(Plugin):
    """Answers which recipients exist: users, and traps that a stranger's message is refused for."""

    def __init__(self, world: World, settings: Settings) -> None:
        super().__init__()
        self._users = world.user_set
        self._traps = {
            address
            for address, trap in world.traps.items()
            if not settings.classes or _spoils(trap.kind, guessable=trap.guessable)
        }

    def on_lookup(self, _tx: Transaction, rcpt: Recipient, /) -> Lookup:
        """Answer for every recipient: all domains are the site's."""
        address = f"{rcpt.user}@{rcpt.domain}"
        return local() if address in self._users or address in self._traps else unknown()


def _spoils(kind: TrapClass, *, guessable: bool) -> bool:
    return treatment(kind, Standing.STRANGER, guessable=guessable) in _REFUSALS


class TrapRules(Plugin):
    """Decides about the hits of a transaction; `reset` evaluates those that end without DATA."""

    def __init__(self, world: World, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._traps = world.traps
        self._senders = Senders(settings, world.providers, world.written_to)
        self._memory = TrapMemory()
        self._many = ManyUnknown()
        self._chance = Random(f"{world.seed}/held")

    def on_rcpt(self, tx: Transaction, rcpt: Recipient, /) -> Decision | None:
        """Refuse a trap alone, as unknown, if the table has that for this sender."""
        hit = next((one for one in tx.trap_hits if one.address is rcpt.address), None)
        if hit is None:
            return None
        standing = self._senders.standing(tx.received, identify(tx))
        if self._listed(hit.entry, standing) in _REFUSALS:
            return None
        return deny("No such mailbox", enhanced=_UNKNOWN, reason="trap")

    def on_data(self, tx: Transaction, /) -> Decision | None:
        """Refuse at DATA what a stranger's hit refuses."""
        return self._refuse(tx) if self._judge(tx) is Treatment.REFUSE_ALL else None

    def _refuse(self, tx: Transaction) -> Decision | None:
        if self._settings.end:
            tx.notes[_DONE] = Treatment.REFUSE_ALL_AFTER_CONTENT
            return None
        return deny(_TEXT, code=554, enhanced="5.7.1", reason="trap")

    def on_message(self, tx: MessageTransaction, /) -> Decision | None:
        """Refuse or mark after the content, and learn from what is accepted."""
        found = tx.notes.get(_DONE, Treatment.NONE)
        if found is Treatment.REFUSE_ALL_AFTER_CONTENT and not self._is_held():
            return deny(_TEXT, code=554, enhanced="5.7.1", reason="trap")
        if found in _MARKS:
            tx.message.add_header(*MARK)
        looks_bad = tx.results.value("content") == "bad"
        if found is Treatment.NONE or not looks_bad:
            self._senders.accepted(tx.received, identify(tx), looks_bad=looks_bad)
        return None

    def _is_held(self) -> bool:
        return self._settings.held > 0 and self._chance.random() < self._settings.held

    def on_reset(self, tx: Transaction, /) -> None:
        """Evaluate a transaction that ended without a message."""
        self._judge(tx)

    def _judge(self, tx: Transaction) -> Treatment:
        """Return the hardest treatment, once for each transaction, and remember a hit."""
        known: Treatment | None = tx.notes.get(_DONE)
        if known is not None:
            return known
        who, now = identify(tx), tx.received
        standing = self._senders.standing(now, who)
        direct = _hardest(self._direct(tx, who, standing))
        keys = self._senders.keys(now, who)
        found = (
            direct if direct in _REFUSALS else _hardest([direct, self._recall(now, keys, standing)])
        )
        if direct in _REFUSALS and not (self._settings.bounces and who.is_bounce):
            self._memory.remember(now, keys)
            self._senders.hit(who)
        tx.notes[_DONE] = found
        return found

    def _direct(self, tx: Transaction, who: Identity, standing: Standing) -> Iterator[Treatment]:
        """Yield the treatments of the transaction's own recipients."""
        for hit in tx.trap_hits:
            yield self._listed(hit.entry, standing)
        unknowns = {str(one.address).lower() for one in tx.refused if _is_unknown(one)}
        unknowns -= {hit.entry for hit in tx.trap_hits}
        asked = len(unknowns) + len(tx.recipients)
        if self._settings.many_unknown and self._many.is_hit(len(unknowns), asked):
            yield treatment(TrapClass.VIRTUAL, standing)
        is_bounce = self._settings.bounces and who.is_bounce
        if self._settings.message_ids and not is_bounce and any(map(_is_identifier, unknowns)):
            yield treatment(TrapClass.MESSAGE_ID, standing)

    def _listed(self, entry: str, standing: Standing) -> Treatment:
        trap = self._traps[entry]
        if not self._settings.classes:
            return treatment(TrapClass.PRISTINE, standing)
        return treatment(trap.kind, standing, guessable=trap.guessable)

    def _recall(self, now: float, keys: list[str], standing: Standing) -> Treatment:
        if self._settings.memory == "off" or MEMORY_TABLE[standing] is Treatment.NONE:
            return Treatment.NONE
        recall = self._memory.recall(now, keys)
        if recall.refuses and self._settings.memory == "refuse":
            return Treatment.REFUSE_ALL_AFTER_CONTENT
        return MEMORY_TABLE[standing] if recall.marks else Treatment.NONE


def _hardest(found: Iterator[Treatment] | list[Treatment]) -> Treatment:
    return min(found, key=_HARDEST.index, default=Treatment.NONE)


def _is_unknown(rcpt: Recipient) -> bool:
    return rcpt.reply is not None and rcpt.reply.enhanced == _UNKNOWN


def _is_identifier(address: str) -> bool:
    return recognise(address.rpartition("@")[0]) is not None
