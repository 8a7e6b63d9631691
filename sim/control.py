"""The control: campaigns whose coverage is known, to test the simulator against theory.

The messages of a campaign come from K networks, drawn at random for each message, in random order,
to u users and t traps. A memory of networks touches a message to a user if a trap was mailed from
the same network before. If the message is the part x of the campaign behind the others, each trap
came before with the chance x, and from this network with the chance x/K. So the expected share is

    1 - K/(t+1) (1 - (1 - 1/K)^(t+1)),    which is t/(t+1) for one network,

whatever u is. A botnet with a network for each message is the end of this series: its share is 0.
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

# Networks, and traps on the list.
CASES = ((1, 1), (1, 3), (1, 9), (3, 3), (3, 9), (30, 9), (100, 9))
USERS = 10


class Control(NamedTuple):
    """The result of a case: messages to users, the share that is marked, the theory."""

    networks: int
    traps: int
    messages: int
    touched: float
    expected: float


def expected(networks: int, traps: int) -> float:
    """Return the share that theory predicts."""
    missed = networks / (traps + 1) * (1 - (1 - 1 / networks) ** (traps + 1))
    return 1 - missed


def controls(settings: Settings, seed: int, campaigns: int) -> list[Control]:
    """Return the results of all cases, each with about this number of campaigns."""
    found = []
    for networks, traps in CASES:
        plan = Plan((_campaign(networks, traps, campaigns),), "small", Extent(200.0))
        count = simulate(plan, settings, seed).all_spam()
        theory = expected(networks, traps)
        found.append(Control(networks, traps, count.messages, count.touched, theory))
    return found


def _campaign(networks: int, traps: int, number: int) -> type[Actor]:
    class FewNetworks(Spammer):
        """Campaigns from a number of networks, with a number of traps."""

        name = f"control {networks} {traps}"
        campaigns = float(number)

        def campaign(self, start: float, name: str) -> Run:
            """Mail all users and some traps, in random order."""
            entries = [*self.world.users[:USERS], *self.world.planned[:traps]]
            self.chance.shuffle(entries)
            own = [self.world.network() for _ in range(networks)]
            domain = self.domain()
            for at, address in enumerate(entries):
                network = self.chance.choice(own)
                origin = Origin(f"{network}.{at + 1}", domain, spf=False, dkim=False)
                yield origin.session(
                    start + at, self.spam(origin, "x", to([address], Intent.LIST), name)
                )

    return FewNetworks
