"""The base of all actors: a name, a generator of random numbers, and a run of sessions.

`run` is a generator: it yields a session and receives the outcome, so that an actor can adapt. The
times of its sessions never go back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sim.draw import generator
from sim.sessions import Envelope, Facts, Intent, Kind, Outcome, Recipient, Session

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sim.world import World

Run: TypeAlias = "Generator[Session, Outcome, None]"


class Extent(NamedTuple):
    """The length of a simulation in days, and the shares of legitimate mail, botnets and attempts.

    A company for 45 days would take hours; a share of its volume has the same rates.
    """

    days: float = 45.0
    share: float = 1.0
    spam: float = 1.0
    attempts: float = 1.0


class Actor(ABC):
    """An actor; `name` is the name in tables, by default that of the class."""

    name = ""

    def __init__(self, world: World, extent: Extent) -> None:
        self.world = world
        self.values = world.values
        self.extent = extent
        self.chance = generator(world.seed, self.name)

    @abstractmethod
    def run(self) -> Run:
        """Yield sessions and receive their outcomes."""


def to(addresses: Iterable[str], intent: Intent) -> tuple[Recipient, ...]:
    """Return recipients with the same intent, without repetition."""
    return tuple(Recipient(one, intent) for one in dict.fromkeys(addresses))


class Origin(NamedTuple):
    """The origin of a sender: a client, its verified name, and the domain with its proofs."""

    client: str
    domain: str
    spf: bool = True
    dkim: bool = True
    name: str = ""

    def facts(self, *, looks_bad: bool = False) -> Facts:
        """Return the facts about a message of this sender."""
        return Facts(self.spf, (self.domain,) if self.dkim else (), self.name, looks_bad)

    def session(self, time: float, *messages: Envelope) -> Session:
        """Return a session from the client."""
        return Session(time, self.client, f"mail.{self.domain}", messages)


def good(
    origin: Origin, local: str, recipients: tuple[Recipient, ...], label: str, standing: str = ""
) -> Envelope:
    """Return a legitimate message."""
    sender = f"{local}@{origin.domain}"
    return Envelope(
        sender, recipients, Kind.LEGITIMATE, origin.facts(), label=label, standing=standing
    )
