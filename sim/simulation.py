"""One simulation: a world, its actors and a policy; the sessions of all in the order of time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gatepost.testing import VirtualClock
from sim.actors.actor import Actor, Extent
from sim.actors.merging import merge
from sim.metrics import Metrics
from sim.parameters import Values
from sim.player import Player
from sim.policy.server import Site
from sim.policy.settings import Settings
from sim.world import SIZES, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.actors.actor import Run
    from sim.sessions import Outcome, Session


class Plan(NamedTuple):
    """The plan of a simulation: the actors, the site's size, and the extent."""

    actors: Sequence[type[Actor]]
    size: str = "small"
    extent: Extent = Extent()
    values: Values = Values()


def simulate(plan: Plan, settings: Settings, seed: int) -> Metrics:
    """Play a simulation; the same arguments give the same metrics, apart from the CPU time."""
    world = World(SIZES[plan.size], seed, plan.values)
    return asyncio.run(_simulate(plan, settings, world))


async def _simulate(plan: Plan, settings: Settings, world: World) -> Metrics:
    metrics = Metrics()
    sessions = merge(named(actor(world, plan.extent)) for actor in plan.actors)
    session = next(sessions, None)  # by now every actor has made its services and senders
    clock = VirtualClock()
    begun = time.process_time()
    async with Site(world, settings, clock) as server:
        player = Player(server, clock)
        while session is not None:
            outcome = await player.play(session)
            metrics.take(session, outcome, world.user_set, world.bait)
            session = _after(sessions, outcome)
    metrics.seconds = time.process_time() - begun
    return metrics


def named(actor: Actor) -> Run:
    """Yield the sessions of an actor with its name."""
    run, outcome = actor.run(), None
    while True:
        try:
            session = next(run) if outcome is None else run.send(outcome)
        except StopIteration:
            return
        outcome = yield msgspec.structs.replace(session, actor=actor.name)


def _after(sessions: Run, outcome: Outcome) -> Session | None:
    try:
        return sessions.send(outcome)
    except StopIteration:
        return None
