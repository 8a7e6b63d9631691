"""The order of plugins: the configuration's, bent as little as `before` and `after` demand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost.plugin.host import Installed


class OrderError(Exception):
    """No order fulfils all `before` and `after`; the message names the plugins."""


def in_order(installed: "Sequence[Installed]") -> "tuple[Installed, ...]":
    """Return the plugins in a fulfilling order; names of absent plugins are no demand."""
    waiting = list(installed)
    placed: list[Installed] = []
    while waiting:
        free = next((one for one in waiting if not _earlier(one, waiting)), None)
        if free is None:
            names = ", ".join(one.plugin.name for one in waiting)
            raise OrderError(f"before/after of these plugins contradict each other: {names}")
        waiting.remove(free)
        placed.append(free)
    return tuple(placed)


def _earlier(one: "Installed", waiting: "list[Installed]") -> bool:
    """Whether any that still waits has to come before this one."""
    return any(
        other is not one
        and (other.plugin.name in one.plugin.after or one.plugin.name in other.plugin.before)
        for other in waiting
    )
