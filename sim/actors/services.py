"""Sending services: networks from which many organisations send, for newsletters and for mailboxes.

Half of them are in the shipped list of providers, by their reverse name; the others become known as
shared after 30 days, when enough of their tenants have sent good mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.actors.actor import Origin

if TYPE_CHECKING:
    from random import Random

    from sim.world import World

SERVICES = 4
NETWORKS = 4
# A domain of the shipped list.
_LISTED = "outlook.com"


class Service(NamedTuple):
    """A service: its name, whether the shipped list has it, its networks."""

    name: str
    listed: bool
    networks: tuple[str, ...]

    def origin(self, chance: Random, domain: str) -> Origin:
        """Return the origin of a tenant, from any host of the service."""
        host = f"{chance.choice(self.networks)}.{chance.randrange(2, 250)}"
        return self.tenant(host, domain)

    def tenant(self, host: str, domain: str) -> Origin:
        """Return the origin of a tenant, from a host of the service."""
        return Origin(host, domain, name=f"out.{self.name}")


def make_services(world: World, kind: str) -> list[Service]:
    """Return the services of a kind, the same for all actors."""
    if kind in world.services:
        return world.services[kind]
    listed = round(SERVICES * world.values["providers in the shipped list"])
    made = []
    for number in range(SERVICES):
        name = f"{kind}{number}.{_LISTED if number < listed else 'example'}"
        networks = tuple(world.network() for _ in range(NETWORKS))
        made.append(Service(name, number < listed, networks))
    world.services[kind] = made
    return made
