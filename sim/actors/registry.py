"""All actors, in the order of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.actors.attackers import (
    Disarmer,
    Flooder,
    ForgingFramer,
    Mixer,
    Poisoner,
    ReplayFramer,
    SharedFramer,
    SignUpFramer,
    TrapFramer,
    WarmUp,
)
from sim.actors.bulk import ListServers, Newsletters, OfficeMailings
from sim.actors.correspondents import Correspondents
from sim.actors.machines import Backscatter, Forwarders, ListBombing, Robots
from sim.actors.spammers import (
    Botnet,
    DictionaryVerifier,
    Harvester,
    ListBuyers,
    Snowshoe,
    SortedBlaster,
)

if TYPE_CHECKING:
    from sim.actors.actor import Actor

HONEST: tuple[type[Actor], ...] = (
    Correspondents,
    Newsletters,
    ListServers,
    OfficeMailings,
    Forwarders,
    Backscatter,
    Robots,
    ListBombing,
)
SPAMMERS: tuple[type[Actor], ...] = (
    DictionaryVerifier,
    SortedBlaster,
    Snowshoe,
    Botnet,
    ListBuyers,
    Harvester,
    WarmUp,
    Mixer,
)
FRAMERS: tuple[type[Actor], ...] = (
    SignUpFramer,
    TrapFramer,
    ForgingFramer,
    ReplayFramer,
    SharedFramer,
)
ATTACKERS: tuple[type[Actor], ...] = (Poisoner, *FRAMERS, Disarmer, Flooder)
