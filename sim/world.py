"""The simulated site: its domains, users, traps and former addresses, and networks of the world.

Every address has one part: it is a user, a trap of some class, or does not exist. Lists of spammers
mix them, see `spam_list`. Networks are drawn from 10.0.0.0/8 without repetition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatepost.traps.verdicts import TrapClass
from sim.draw import generator, sample
from sim.names import FIRST, LAST, ROLES
from sim.parameters import Values

if TYPE_CHECKING:
    from random import Random

    from sim.actors.services import Service

# Message identifiers that were harvested from a web archive between these times.
_WRITTEN = 1230768000, 1338508800  # 2009 to June 2012

# Employees who come later, for A1.
FUTURE = 1000


class Size(NamedTuple):
    """A site: users, legitimate messages a day, domains, planned traps, published seeds."""

    users: int
    messages: int
    domains: int
    traps: int
    seeds: int


SIZES = {
    "small": Size(users=10, messages=300, domains=1, traps=10, seeds=100),
    "company": Size(users=2000, messages=60_000, domains=3, traps=200, seeds=2000),
}


class Trap(NamedTuple):
    """The class of a trap, and whether a person can guess the address."""

    kind: TrapClass
    guessable: bool = False


class World:
    """A site with its parameters; `traps` maps addresses to their class.

    `written_to` has the senders that users of the site wrote to, `services` sending services by
    their kind. Actors add to both before they send.
    """

    def __init__(self, size: Size, seed: int, values: Values | None = None) -> None:
        self.size = size
        self.seed = seed
        self.values = values or Values()
        self._chance = generator(seed, "world")
        self._networks = iter(self._chance.sample(range(1 << 16), 1 << 16))
        self.domains = tuple(f"site{number}.example" for number in range(1, size.domains + 1))
        names = [f"{first}.{last}" for first in FIRST for last in LAST]
        self._chance.shuffle(names)
        self._names = iter(names)
        self.users = self._make_users()
        self.user_set = set(self.users)
        self.leavers = self._take(round(size.users * self.values["leavers"] * 5) + 1)
        self.planned = self._take(size.traps)
        self.seeds = self._take(size.seeds)
        self.message_ids = self._make_message_ids(max(20, size.users))
        self.guessable = [self.at(role) for role in ROLES if self.at(role) not in self.user_set]
        self.traps: dict[str, Trap] = {
            **dict.fromkeys(self.planned, Trap(TrapClass.PRISTINE)),
            **dict.fromkeys(self.seeds, Trap(TrapClass.SEEDED)),
            **dict.fromkeys(self.leavers, Trap(TrapClass.RECYCLED)),
            **dict.fromkeys(self.guessable, Trap(TrapClass.PRISTINE, guessable=True)),
        }
        # What spam lists have, and no person addresses.
        self.bait = frozenset((*self.planned, *self.seeds, *self.message_ids))
        self.written_to: set[str] = set()
        self.services: dict[str, list[Service]] = {}

    def at(self, local: str) -> str:
        """Return an address at the main domain."""
        return f"{local}@{self.domains[0]}"

    def future(self, number: int) -> str:
        """Return the address of an employee who comes later."""
        return self.at(f"future.employee{number}")

    def _take(self, number: int) -> list[str]:
        return [self.at(self._free_name()) for _ in range(number)]

    def _free_name(self) -> str:
        name = next(self._names, "")
        if name:
            return name
        first, last = self._chance.choice(FIRST), self._chance.choice(LAST)
        return f"{first}.{self._chance.choice('bcdfghjk')}{self._chance.randrange(100)}.{last}"

    def _make_users(self) -> list[str]:
        """Return users: each fifth has a first name alone, one is a role."""
        short = self._chance.sample(FIRST, min(len(FIRST) // 2, self.size.users // 5))
        full = self._take(self.size.users - len(short) - 1)
        return [self.at("info"), *map(self.at, short), *full][: self.size.users]

    def _make_message_ids(self, number: int) -> list[str]:
        chance, times = self._chance, range(*_WRITTEN)
        return [
            self.at(f"{chance.randrange(1 << 16):04x}.{chance.choice(times):08x}")
            for _ in range(number)
        ]

    def network(self) -> str:
        """Return a network that nothing else uses, as "10.1.2"."""
        number = next(self._networks)
        return f"10.{number >> 8}.{number & 255}"

    def network_of_bots(self, chance: Random) -> str:
        """Return a network with infected hosts; campaigns can have some in common."""
        return f"172.{chance.randrange(16, 32)}.{chance.randrange(256)}"

    def dead(self, chance: Random) -> str:
        """Return an address that never existed; no trap and no user."""
        first, last = chance.choice(FIRST), chance.choice(LAST)
        return self.at(f"{first}.{chance.choice('aeilmnorst')}.{last}")

    def stale(self, chance: Random) -> str:
        """Return what a sender with an old address book names: a recent leaver, or older."""
        if chance.random() < self.values["stale is recycled"]:
            return chance.choice(self.leavers)
        return self.dead(chance)

    def spam_list(self, chance: Random, live: float | None = None) -> list[str]:
        """Return a spammer's list of the site: most users, traps, identifiers and dead addresses.

        `live` is the share of users, by default that of the parameters.
        """
        values = self.values
        users = sample(chance, self.users, max(1, round(0.8 * len(self.users))))
        total = round(len(users) / (values["live share of a list"] if live is None else live))
        traps = _about(chance, values["traps on a list"] * total)
        identifiers = _about(chance, values["message identifiers on a list"] * total)
        found = [
            *users,
            *sample(chance, self.planned + self.seeds, traps),
            *sample(chance, self.message_ids, identifiers),
        ]
        rest = (self.dead(chance) for _ in range(max(0, total - len(found))))
        return list(dict.fromkeys([*found, *rest]))


def _about(chance: Random, mean: float) -> int:
    """Return a whole number with this mean."""
    return int(mean) + (chance.random() < mean % 1)
