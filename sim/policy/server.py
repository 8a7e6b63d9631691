"""The server of a policy: its configuration, its trap list and its plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.policy.rules import Directory, TrapRules

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
        "traps": {"delay": "0s", "action": "refuse" if settings.by_engine else "shadow"},
    }


def make_list(world: World, settings: Settings) -> list[str]:
    """Return the trap list.

    For the engine's own rule an administrator lists only what no person can have addressed.
    """
    if not settings.by_engine:
        return list(world.traps)
    return [*world.planned, *world.seeds]


def make_plugins(world: World, settings: Settings, facts: KnownFacts) -> list[Plugin]:
    """Return the plugins, in their order."""
    directory = Directory(world, settings)
    return (
        [facts, directory] if settings.by_engine else [facts, directory, TrapRules(world, settings)]
    )
