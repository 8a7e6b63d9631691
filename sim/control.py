"""The control: a campaign whose coverage is known, to test the simulator against theory.

All messages come from one network, in random order, to u users and t traps. A memory that has the
network after its first hit touches a share of t/(t+1) of the messages to users, whatever u is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.actors.actor import Extent, Origin, Run, to
from sim.actors.spammers import Spammer
from sim.sessions import Intent
from sim.simulation import Plan, simulate

if TYPE_CHECKING:
    from sim.actors.actor import Actor
    from sim.policy.settings import Settings

TRAPS = (1, 3, 9)
USERS = 10


class Control(NamedTuple):
    """The result for a number of traps: messages to users, the share touched, the theory."""

    traps: int
    messages: int
    touched: float
    expected: float


def controls(settings: Settings, seed: int) -> list[Control]:
    """Return the results for each number of traps."""
    found = []
    for traps in TRAPS:
        plan = Plan((_one_network(traps),), "small", Extent(200.0))
        count = simulate(plan, settings, seed).all_spam()
        found.append(Control(traps, count.messages, count.touched, traps / (traps + 1)))
    return found


def _one_network(traps: int) -> type[Actor]:
    class OneNetwork(Spammer):
        """A campaign from one network, with a fixed number of traps."""

        name = f"control {traps}"
        campaigns = 200.0

        def campaign(self, start: float, name: str) -> Run:
            """Mail all users and some traps, in random order."""
            entries = [*self.world.users[:USERS], *self.world.planned[:traps]]
            self.chance.shuffle(entries)
            network, domain = self.world.network(), self.domain()
            for at, address in enumerate(entries):
                origin = Origin(f"{network}.{at + 1}", domain, spf=False, dkim=False)
                yield origin.session(
                    start + at, self.spam(origin, "x", to([address], Intent.LIST), name)
                )

    return OneNetwork
