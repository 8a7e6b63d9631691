"""The server of a policy: its configuration, its trap list and its plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.policy.rules import Directory, Memory

if TYPE_CHECKING:
    from gatepost import Plugin
    from sim.policy.facts import KnownFacts
    from sim.policy.settings import Settings
    from sim.world import World


def make_config(world: World, settings: Settings) -> dict[str, Any]:
    """Return the tables of the configuration.

    Waits are left out: they would only move the virtual clock. All clients are exempt from limits
    of connections, which use the real clock.
    """
    return {
        "smtp": {"unauthorised_pipelining": "tolerate"},
        "recipients": {"domains": list(world.domains), "lookup_cache": "0s"},
        "limits": {"exempt": ["0.0.0.0/0"], "error_delay": "0s", "errors": settings.errors},
        "traps": _traps(settings),
    }


def _traps(settings: Settings) -> dict[str, Any]:
    verdict = "hold" if settings.held else "end" if settings.end else "data"
    found: dict[str, Any] = {
        "delay": "0s",
        "verdict": verdict,
        "hold_share": settings.held,
        "message_ids": "armed" if settings.message_ids else "off",
    }
    return found if settings.many_unknown else found | {"many_unknown": False}


def make_list(world: World, settings: Settings) -> list[str]:
    """Return the trap list.

    With the lists alone an administrator lists only what no person can have addressed.
    """
    if settings.lists_only:
        return [*world.planned, *world.seeds]
    if not settings.classes:
        return list(world.traps)
    return [f"{address} class={trap.kind.value}" for address, trap in world.traps.items()]


def make_plugins(world: World, settings: Settings, facts: KnownFacts) -> list[Plugin]:
    """Return the plugins, in their order."""
    directory = Directory(world)
    return (
        [facts, directory] if settings.lists_only else [facts, directory, Memory(world, settings)]
    )
