"""Changes of the queue by administrators: the table of actions, what they can change, the change.

Security: a user with domains changes recipients in these domains only. A sender is not enough, as
it can be forged: it would let them release or remove the mail of others. The address of a copy must
be in the domains too. Recipients are looked up before the change, and only these are changed.

Limits: MOST_NAMES messages at a time, of which `source` limits the recipients.
"""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gatepost.checks.forwarding import forwarded
from gatepost.delivery.registry import RouteConfigError
from gatepost.ledger.words.wording import counted
from gatepost.model.address import AddressError
from gatepost.queue.spool import admin, changes
from gatepost.queue.spool.admin import QueueEntry, Selection
from gatepost.queue.spool.changes import QueueChange
from gatepost.web.source import Source
from gatepost.web.spool import spool_errors

MOST_NAMES, LONGEST_NAME = 200, 100
# Names of messages in the record of a change.
SHOWN = 10


class ChangeError(ValueError):
    """A change that cannot be made: what was expected."""


class Action(NamedTuple):
    """An action: its title, its result, and what it does."""

    name: str
    title: str
    done: str
    about: str
    change: QueueChange

    @property
    def needs_address(self) -> bool:
        """Return whether it sends messages to another address."""
        return self.change is changes.MOVE_AWAY


ACTIONS: Mapping[str, Action] = {
    one.name: one
    for one in (
        Action("retry", "Retry", "will be tried now", "Retry queued mail now.", changes.RETRY),
        Action("hold", "Hold", "held", "Hold queued mail until it is released.", changes.HOLD),
        Action("release", "Release", "released", "Queue held mail again.", changes.RELEASE),
        Action(
            "forward",
            "Forward",
            "forwarded",
            "Send held mail to another address instead of its recipients.",
            changes.MOVE_AWAY,
        ),
        Action(
            "remove",
            "Remove",
            "removed",
            "Remove mail permanently, without a notification to the sender.",
            changes.REMOVE,
        ),
    )
}


def possible(source: Source, action: Action, names: Sequence[str]) -> list[QueueEntry]:
    """Return the recipients of messages that an action can change.

    Raises `ChangeError` for wrong names, and `QueueError`.
    """
    if not 0 < len(names) <= MOST_NAMES or any(len(one) > LONGEST_NAME for one in names):
        raise ChangeError(
            f"expected 1 to {MOST_NAMES} messages, each by its number or reference of at most"
            f" {LONGEST_NAME} characters"
        )
    found = source.queue(Selection(names=names), action.change)
    return [one for one in found if source.scope.has(one.recipient)]


def perform(
    source: Source, action: Action, names: Sequence[str], author: str, address: str = ""
) -> int:
    """Change what is possible; return the number of recipients. `address` is that of a copy.

    Raises `ChangeError` and `QueueError`.
    """
    detail = _copied(source, address) if action.needs_address else ""
    entries = possible(source, action, names)
    if not entries:
        return 0
    rows = [f"{one.name.partition('-')[0]}-{one.row}" for one in entries]
    selection = Selection(names=[*{one.name for one in entries}], rows=rows)
    expires = time.time() + source.config.queue.expire
    with spool_errors():
        return sum(
            admin.apply(
                source.spool, selection, action.change, expires, author=author, detail=detail
            )
        )


def changed_text(action: Action, count: int, names: Sequence[str]) -> str:
    """Return a change for the record of it."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{action.name}: {counted(count, 'recipient')} of {', '.join(names[:SHOWN])}{more}"


def _copied(source: Source, address: str) -> str:
    """Return the facts of the recipient of a copy; raises `ChangeError`."""
    if not source.scope.has(address):
        raise ChangeError("expected an address in your domains")
    try:
        return forwarded(source.config, address)
    except RouteConfigError as error:
        raise ChangeError("; ".join(error.problems)) from error
    except (AddressError, ValueError) as error:
        raise ChangeError(f"the address of the copy: {error}") from error
