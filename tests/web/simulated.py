"""Records of a small site, for pictures: simulated senders and spammers, played by the server.

The sessions are those of `sim`, and the records are those that the server makes of them. The DNS
list, the greylist and the content filter decide by the facts that the simulator has.
"""

import asyncio
import random
from datetime import UTC, datetime

from sim.actors.actor import Extent
from sim.actors.merging import merge
from sim.actors.registry import HONEST, SPAMMERS
from sim.player import Player
from sim.policy.server import Site
from sim.policy.settings import DEFAULT, LADDER
from sim.simulation import named
from sim.world import SIZES, World

from gatepost import Plugin, defer, deny
from gatepost.testing import VirtualClock

DAY = 86400
SUBJECTS = {
    True: ("Cheap pills", "You have won", "Invoice overdue", "Your parcel waits", "Hello dear"),
    False: (
        "Minutes of Tuesday",
        "Offer 2026-114",
        "Photos of the weekend",
        "Re: delivery date",
        "Newsletter for December",
        "Your order has been sent",
    ),
}


class _Judge(Plugin):
    """A plugin that decides by the envelope that is played: `site.playing`."""

    def __init__(self, site):
        super().__init__()
        self._site = site

    @property
    def playing(self):
        return self._site.playing


class Dnsbl(_Judge):
    """Refuses listed clients."""

    def on_rcpt(self, _tx, _rcpt, /):
        return deny("Client is listed", reason="listed") if self.playing.listed else None


class Greylist(_Judge):
    """Defers the first message of a network without a verified name."""

    def __init__(self, site):
        super().__init__(site)
        self._known = set()

    def on_rcpt(self, tx, _rcpt, /):
        network = tx.session.peer.host.rpartition(".")[0]
        if self.playing.facts.name or network in self._known:
            return None
        self._known.add(network)
        return defer("Try again later", reason="greylisted")


class Rspamd(_Judge):
    """Refuses content that looks bad."""

    def on_message(self, tx, /):
        return deny("Spam", reason="spam") if self.playing.facts.looks_bad else None


class _Player(Player):
    """Plays messages with subjects."""

    def __init__(self, site, clock, playing):
        super().__init__(site, clock)
        self._playing = playing
        self._chance = random.Random(1)

    async def _message(self, client, one):
        self._playing.playing = one
        return await super()._message(client, one)

    def _content(self, one):
        subject = self._chance.choice(SUBJECTS[one.facts.looks_bad])
        field = f"From: <{one.sender}>\r\nSubject: {subject}\r\nX-".encode()
        return super()._content(one).replace(b"Subject: ", field, 1)


class _Playing:
    playing = None


def records(now, days=15.0, seed=1):
    """Return the records of some days until a time."""
    return asyncio.run(_records(now, days, seed))


async def _records(now, days, seed):
    found, playing = [], _Playing()
    world = World(SIZES["small"], seed)
    actors = [actor(world, Extent(days)) for actor in (*HONEST, *SPAMMERS)]
    sessions = merge(named(one) for one in actors)
    session = next(sessions)
    clock = VirtualClock(datetime.fromtimestamp(now - days * DAY, UTC))
    more = [one(playing) for one in (Dnsbl, Greylist, Rspamd)]
    async with Site(world, LADDER[DEFAULT], clock, more, found.append) as site:
        player = _Player(site, clock, playing)
        while session is not None and session.time < days * DAY:
            try:
                session = sessions.send(await player.play(session))
            except StopIteration:
                break
    return found
