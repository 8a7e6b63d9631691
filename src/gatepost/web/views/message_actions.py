"""Actions of an administrator on the page of one message: with its mail, its sender, its traps.

The forms and links are those of the tables of the queue, of the quarantine and of the trap review.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gatepost.ledger.keys import canonical_address
from gatepost.ledger.records import Transaction
from gatepost.ledger.store import QueryTimeoutError
from gatepost.ledger.words.story import Story
from gatepost.lists.reloadable import ListError
from gatepost.queue.spool.admin import Selection
from gatepost.web.source import Source
from gatepost.web.spool import QueueError
from gatepost.web.table import Action
from gatepost.web.views.review import actions_of, registry_of
from gatepost.web.views.sender_actions import sender_actions

# The changes of the queue by the state of a recipient.
BY_STATE: Mapping[str, Sequence[str]] = {
    "queued": ("retry", "hold", "remove"),
    "held": ("release", "forward", "remove"),
}
# The place of the traps of the registry in records.
REGISTRY = "registry"
_MOST_TRAPS = 5


class Actions(NamedTuple):
    """The changes of the queue, whether scanners can learn the message, links by their subject."""

    queue: Sequence[str] = ()
    learns: bool = False
    links: Sequence[tuple[str, Sequence[Action]]] = ()


def actions(source: Source, story: Story) -> Actions:
    """Return what can be done with a message; without the spool or the registry less."""
    states = _states(source, story.ref)
    found = dict.fromkeys(name for state in states for name in BY_STATE.get(state, ()))
    if not source.scope.is_everything:
        return Actions(list(found))
    links = [("Sender", sender_actions(ref=story.ref)), *_traps(source, story.transaction)]
    return Actions(list(found), bool(states), links)


def _states(source: Source, ref: str) -> list[str]:
    """Return the states of the recipients that the user can change, the held ones first."""
    try:
        entries = source.queue(Selection(names=[ref]))
    except (QueueError, QueryTimeoutError):
        return []
    return sorted({one.state for one in entries if source.scope.has(one.recipient)})


def _traps(source: Source, tx: Transaction | None) -> Iterator[tuple[str, Sequence[Action]]]:
    """Yield the changes of the registered traps that a message has hit."""
    hits = () if tx is None else tx.traps
    entries = [canonical_address(one.entry) for one in hits if one.list.endswith(REGISTRY)]
    if not entries:
        return
    try:
        registry = registry_of(source)
    except (ListError, OSError):
        return
    for entry in list(dict.fromkeys(entries))[:_MOST_TRAPS]:
        trap = registry.find(entry)
        if trap is not None:
            yield f"Trap {entry}", actions_of(entry, trap.state)
