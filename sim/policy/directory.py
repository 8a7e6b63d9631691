"""The directory of the site: which recipients exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost import Lookup, Plugin, Recipient, Transaction, local, unknown

if TYPE_CHECKING:
    from sim.world import World


class Directory(Plugin):
    """Answers for every recipient, because all domains are the site's. Traps are the engine's."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._users = world.user_set

    def on_lookup(self, _tx: Transaction, rcpt: Recipient, /) -> Lookup:
        """Return whether the recipient is a user."""
        return local() if f"{rcpt.user}@{rcpt.domain}" in self._users else unknown()
