"""The server of a policy: its configuration, its trap list, its plugins and their state.

The rules are those that ship: the engine, and the plugins `standing` and `trap_memory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from gatepost.plugins.standing import Standing
from gatepost.plugins.trap_guard import TrapGuard
from gatepost.plugins.trap_memory import TrapMemory
from gatepost.server.memory import MemoryServer
from gatepost.session.recorder import Recorder
from gatepost.testing import MemoryRegistry
from sim.policy.ablated import WithoutSharedNetworks
from sim.policy.directory import Directory
from sim.policy.facts import KnownFacts
from sim.world import FUTURE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost import Plugin
    from gatepost.ledger.records import Record
    from gatepost.testing import VirtualClock
    from sim.policy.settings import Settings
    from sim.world import World

# The simulated networks are private ones, so that no address belongs to a real
# server. Plugins leave those out by default.
_NO_CLIENTS = ["192.0.2.0/24"]
_NEVER = "36500d"
_LEARNED = "class=learned by=sim at=2024-01-01T00:00:00Z state=armed"


class Site(MemoryServer):
    """A server with the rules of a policy; `facts` receives what it could find out.

    `records` receives the records of the ledger, if there is one.
    """

    def __init__(
        self,
        world: World,
        settings: Settings,
        clock: VirtualClock,
        more: Sequence[Plugin] = (),
        records: Callable[[Record], None] | None = None,
    ) -> None:
        self.facts = KnownFacts(believes=not settings.proof)
        self._standing = make_standing(settings)
        uses_standing = settings.trusted and not settings.lists_only
        self._written_to = sorted(world.written_to) if uses_standing else []
        plugins: list[Plugin] = [self._standing, *make_memory(settings)]
        plugins += [TrapGuard()] if settings.guard else []
        super().__init__(
            [self.facts, Directory(world), *(() if settings.lists_only else plugins), *more],
            traps=make_list(world, settings),
            config=make_config(world, settings),
            clock=clock,
            recorder=Recorder(),
            records=records,
            registry=MemoryRegistry(*make_registry(world)) if settings.registered else None,
        )

    async def __aenter__(self) -> Self:
        """Start, and record the senders that users wrote to before."""
        await super().__aenter__()
        await self._standing.wrote_to(self._written_to)
        return self


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
    minimum = settings.many_unknown
    return {
        "delay": "0s",
        "verdict": "hold" if settings.held else "end" if settings.end else "data",
        "hold_share": settings.held,
        "message_ids": settings.message_ids,
        "many_unknown": {"minimum": minimum} if minimum else False,
    }


def make_list(world: World, settings: Settings) -> list[str]:
    """Return the trap list.

    With the lists alone an administrator lists only what no person can have addressed.
    """
    if settings.lists_only:
        return [*world.planned, *world.seeds]
    if not settings.classes:
        return list(world.traps)
    left_out = frozenset(world.planned if settings.registered else ())
    return [
        f"{address} class={trap.kind.value}"
        for address, trap in world.traps.items()
        if address not in left_out
    ]


def make_registry(world: World) -> list[str]:
    """Return the lines of a registry in which all that A1 and A3 aim at are learned traps."""
    future = (world.future(number) for number in range(FUTURE))
    return [f"{one} {_LEARNED}" for one in (*world.planned, *future)]


def make_standing(settings: Settings) -> Standing:
    """Return the plugin that recognises senders."""
    return Standing() if settings.acquainted else Standing(acquainted_after=_NEVER)


def make_memory(settings: Settings) -> list[Plugin]:
    """Return the plugin that remembers trap hits, if there is one."""
    if settings.memory == "off":
        return []
    memory = TrapMemory if settings.shared else WithoutSharedNetworks
    refuse = "deny" if settings.memory == "refuse" else "none"
    return [memory(exempt_clients=_NO_CLIENTS, refuse=refuse)]
