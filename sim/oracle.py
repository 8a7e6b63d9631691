"""A4: an attacker who has addresses of the site, and looks for the traps among them.

The attacker asks with single recipients, each query from a new identity, and counts refusals. With
`data` a refusal comes before the content. With `end` it comes after it, where other messages are
refused too: a share rho of those without a trap. With `hold` a share of trap messages gets 250.

For each address the attacker adds up log likelihood ratios until an error is less likely than 1 %.
An identity is burnt if its query was refused: with a memory it gives constant answers from then on.
The group test halves a set of addresses until one is left: the identities burnt are its price.
"""

from __future__ import annotations

import asyncio
from math import log, log2
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gatepost import Decision, MessageTransaction, Plugin, deny
from gatepost.testing import VirtualClock
from sim.draw import generator
from sim.player import Player
from sim.policy.server import Site
from sim.policy.settings import LADDER, REFUSES, Settings
from sim.sessions import Envelope, Facts, Intent, Kind, Recipient, Session
from sim.world import SIZES, World

if TYPE_CHECKING:
    from collections.abc import Sequence

ERROR = 0.01
LIMIT = log(1 / ERROR - 1)  # of the log likelihood ratio
NEVER = 1e-3  # the chance of what never happens, for logarithms
MOST_QUERIES = 400
ADDRESSES = 100  # of each kind
RHOS = (0.05, 0.2, 0.5)
HELD = (0.0, 0.25, 0.5, 0.75)


class ContentRefusals(Plugin):
    """Refuses a share of messages at the end, with the text and code of the trap rules."""

    def __init__(self, share: float, chance: Random) -> None:
        super().__init__()
        self._share = share
        self._chance = chance

    def on_message(self, _tx: MessageTransaction, /) -> Decision | None:
        """Refuse at random."""
        if self._chance.random() >= self._share:
            return None
        return deny("Message refused by local policy", code=554, enhanced="5.7.1", reason="content")


class Row(NamedTuple):
    """A case: mean queries for a decision about a trap, wrong ones, area under the curve.

    `formula` is ln(100)/KL, `expected` the mean of the test that theory predicts.
    """

    verdict: str
    rho: float
    held: float
    queries: float
    errors: float
    auc: float
    formula: float
    expected: float

    @property
    def is_as_expected(self) -> bool:
        """Return whether the mean is within one query, or a quarter, of theory."""
        return abs(self.queries - self.expected) <= max(1.0, self.expected / 4)


class GroupRow(NamedTuple):
    """Group tests: addresses, and for each trap found the queries and the identities burnt."""

    addresses: int
    queries: float
    burnt: float
    expected: float


class Oracle:
    """The attacker, connected to a server."""

    def __init__(self, player: Player, world: World) -> None:
        self._player = player
        self._world = world
        self._number = 0

    async def refused(self, addresses: Sequence[str]) -> bool:
        """Ask once, from a new identity; return whether the message was refused."""
        self._number += 1
        client = f"10.{self._number >> 16 & 255}.{self._number >> 8 & 255}.{self._number & 255}"
        named = tuple(Recipient(one, Intent.PROBE) for one in addresses)
        sender = f"q@probe{self._number}.example"
        one = Envelope(sender, named, Kind.ATTACK, Facts())
        session = Session(self._number * 100_000.0, client, "probe.example", (one,))
        return not (await self._player.play(session))[0].is_accepted


def table(seed: int) -> list[Row]:
    """Return all cases."""
    rows = [run_case("data", 0.0, 0.0, seed)]
    rows += [run_case("end", rho, 0.0, seed) for rho in RHOS]
    rows += [run_case("hold", rho, held, seed) for rho in RHOS for held in HELD[1:]]
    return rows


def run_case(verdict: str, rho: float, held: float, seed: int) -> Row:
    """Ask about traps and users until each is decided."""
    base = msgspec.structs.replace(LADDER["+ many unknown"], end=verdict != "data", held=held)
    return asyncio.run(_run_case(base, (verdict, rho, held), seed))


async def _run_case(settings: Settings, case: tuple[str, float, float], seed: int) -> Row:
    verdict, rho, held = case
    world = World(SIZES["company"], seed)
    chance = generator(seed, f"oracle {case}")
    traps, users = world.planned[:ADDRESSES], world.users[-ADDRESSES:]
    clock = VirtualClock()
    async with Site(world, settings, clock, [ContentRefusals(rho, chance)]) as server:
        oracle = Oracle(Player(server, clock), world)
        # A trap that is held passes the content filter too, or is refused by it.
        seen = [
            await _decide(oracle, one, rho, (1 - held) + held * rho) for one in [*traps, *users]
        ]
    found = [decided for _, decided, _ in seen]
    wrong = sum(not one for one in found[:ADDRESSES]) + sum(found[ADDRESSES:])
    scores = [score for _, _, score in seen]
    return Row(
        verdict,
        rho,
        held,
        mean(number for number, _, _ in seen[:ADDRESSES]),
        wrong / len(seen),
        area(scores[:ADDRESSES], scores[ADDRESSES:]),
        theory(rho, held),
        exact(rho, held),
    )


def theory(rho: float, held: float) -> float:
    """Return the queries about a trap until an error of 1 %: ln(100) / KL.

    KL is the information of a query: the distance of the chance of a refusal with a trap, which is
    1 - held or the content filter's, from the chance without one.
    """
    trap, user = (1 - held) + held * rho, max(rho, NEVER)
    distance = trap * log(trap / user)
    if trap < 1:
        distance += (1 - trap) * log((1 - trap) / (1 - user))
    return max(1.0, log(1 / ERROR) / distance)


def exact(rho: float, held: float) -> float:
    """Return the mean queries of the attacker's test about a trap, which asks whole queries.

    `alive` has the chance of each number of refusals among the tests that are not decided yet.
    """
    trap = (1 - held) + held * rho
    refused, passed = steps(rho, trap)
    alive, queries = {0: 1.0}, 0.0
    for number in range(1, MOST_QUERIES + 1):
        queries += sum(alive.values())
        after: dict[int, float] = {}
        for refusals, share in alive.items():
            for new, part in ((refusals + 1, share * trap), (refusals, share * (1 - trap))):
                if abs(new * refused + (number - new) * passed) < LIMIT:
                    after[new] = after.get(new, 0.0) + part
        alive = after
    return queries


def steps(user: float, trap: float) -> tuple[float, float]:
    """Return the log likelihood ratios of a refusal and of an accepted message.

    `user` and `trap` are the chances of a refusal, which the attacker is assumed to have.
    """
    user, trap = (min(max(one, NEVER), 1 - NEVER) for one in (user, trap))
    return log(trap / user), log((1 - trap) / (1 - user))


async def _decide(
    oracle: Oracle, address: str, user: float, trap: float
) -> tuple[int, bool, float]:
    """Ask until the ratio is decisive; return queries, whether it is a trap, and the ratio."""
    refused, passed = steps(user, trap)
    ratio = 0.0
    for number in range(1, MOST_QUERIES + 1):
        ratio += refused if await oracle.refused([address]) else passed
        if abs(ratio) >= LIMIT:
            return number, ratio > 0, ratio
    return MOST_QUERIES, ratio > 0, ratio


def area(traps: Sequence[float], users: Sequence[float]) -> float:
    """Return the area under the curve: the chance that a trap has the higher score of a pair."""
    pairs = [(trap > user) + (trap == user) / 2 for trap in traps for user in users]
    return mean(pairs)


def groups(seed: int, sizes: Sequence[int] = (50, 100)) -> list[GroupRow]:
    """Return the price of a trap found by halving, for one trap among some addresses.

    A message can have 100 recipients, so that is the largest set.
    """
    return [asyncio.run(_group(number, seed)) for number in sizes]


async def _group(number: int, seed: int, rounds: int = 20) -> GroupRow:
    world = World(SIZES["company"], seed)
    chance = generator(seed, f"groups {number}")
    settings = LADDER[REFUSES]
    clock = VirtualClock()
    asked: list[bool] = []
    async with Site(world, settings, clock) as server:
        oracle = Oracle(Player(server, clock), world)
        for _ in range(rounds):
            addresses = [chance.choice(world.planned), *chance.sample(world.users, number - 1)]
            chance.shuffle(addresses)
            asked += await _halve(oracle, addresses)
    return GroupRow(number, len(asked) / rounds, sum(asked) / rounds, log2(number))


async def _halve(oracle: Oracle, addresses: list[str]) -> list[bool]:
    """Find the only trap; return which queries were refused."""
    asked = []
    while len(addresses) > 1:
        half = addresses[: len(addresses) // 2]
        asked.append(await oracle.refused(half))
        addresses = half if asked[-1] else addresses[len(half) :]
    return asked
