"""The order of plugins: as configured, changed as little as `before` and `after` require."""

from collections.abc import Iterator, Sequence

from gatepost.plugin.base import Installed


class OrderError(Exception):
    """No order satisfies all `before` and `after`; the message names the plugins."""


def missing(installed: Sequence[Installed]) -> Iterator[str]:
    """Yield a problem for each plugin whose results another one needs and that is not installed."""
    names = {one.plugin.name for one in installed}
    for one in installed:
        for name in sorted(set(one.plugin.requires) - names):
            needed = f'needs the plugin {name}: add [[plugin]] use = "{name}"'
            yield f"plugin {one.plugin.name}: {needed}"


def in_order(installed: Sequence[Installed]) -> tuple[Installed, ...]:
    """Return the plugins in an order that satisfies all; names of absent plugins have no effect."""
    waiting = list(installed)
    placed: list[Installed] = []
    while waiting:
        free = next((one for one in waiting if not _must_wait(one, waiting)), None)
        if free is None:
            names = ", ".join(one.plugin.name for one in waiting)
            raise OrderError(f"before/after of these plugins contradict each other: {names}")
        waiting.remove(free)
        placed.append(free)
    return tuple(placed)


def _must_wait(one: Installed, waiting: Sequence[Installed]) -> bool:
    """Return whether another waiting plugin must come before this one."""
    return any(
        other is not one
        and (other.plugin.name in one.plugin.after or one.plugin.name in other.plugin.before)
        for other in waiting
    )
