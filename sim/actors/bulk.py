"""Legitimate bulk mail: newsletters of sending services, list servers, office mailings."""

from __future__ import annotations

from collections import Counter

from sim.actors.actor import Actor, Origin, Run, good
from sim.actors.services import make_services
from sim.draw import arrivals, sample
from sim.sessions import Intent, Recipient

# Of the site's legitimate messages.
NEWSLETTERS, LISTS, OFFICE = 0.25, 0.08, 0.03
TENANTS = 50
_BOUNCES = 3
_BATCH = 50


class Newsletters(Actor):
    """Tenants of sending services: one recipient for each message, a sender with the recipient.

    Some tenants have a list with dead and bought addresses, traps among them. Most remove an
    address after three refusals.
    """

    name = "newsletters"

    def run(self) -> Run:
        """Yield one session for each message."""
        chance, values = self.chance, self.values
        services = make_services(self.world, "bulk")
        bad = round(TENANTS * values["tenants with bad lists"])
        removes = [chance.random() < values["removes bounces"] for _ in range(TENANTS)]
        bounced: Counter[tuple[int, str]] = Counter()
        rate = self.world.size.messages * NEWSLETTERS * self.extent.share
        for time in arrivals(chance, rate, self.extent.days):
            tenant = chance.randrange(TENANTS)
            one = self._subscriber(bad_list=tenant < bad)
            if removes[tenant] and bounced[tenant, one.address] >= _BOUNCES:
                continue
            domain = f"tenant{tenant}.example"
            origin = services[tenant % len(services)].origin(chance, domain)
            sender = f"bounces+{one.address.replace('@', '=')}"
            label = "bad list" if tenant < bad else "message"
            outcome = yield origin.session(time, good(origin, sender, (one,), label))
            bounced[tenant, one.address] += outcome[0].recipients[0] >= 500

    def _subscriber(self, *, bad_list: bool) -> Recipient:
        chance, values, world = self.chance, self.values, self.world
        drawn = chance.random()
        if bad_list and drawn < values["traps on a bad list"]:
            return Recipient(chance.choice(world.planned + world.seeds), Intent.STALE)
        share = values["stale share of a bad list"] if bad_list else 0.01
        if drawn < share:
            return Recipient(world.stale(chance), Intent.STALE)
        return Recipient(chance.choice(world.users), Intent.MEANT)


class ListServers(Actor):
    """Discussion lists: one message to many subscribers of the site in a transaction."""

    name = "list servers"
    part = LISTS
    label = "post"
    hosts = 6

    def run(self) -> Run:
        """Yield one session for each transaction; `part` counts transactions."""
        chance, world = self.chance, self.world
        origins = [
            Origin(f"{world.network()}.25", f"{self.name.replace(' ', '')}{number}.example")
            for number in range(self.hosts)
        ]
        shares = [self.stale_share() for _ in origins]
        rate = world.size.messages * self.part * self.extent.share
        for time in arrivals(chance, rate, self.extent.days):
            at = chance.randrange(len(origins))
            recipients = self._subscribers(shares[at])
            yield origins[at].session(time, good(origins[at], "owner", recipients, self.label))

    def stale_share(self) -> float:
        """Return the share of stale addresses of one list."""
        return self.values["stale share of a list server"]

    def _subscribers(self, share: float) -> tuple[Recipient, ...]:
        chance, world = self.chance, self.world
        most = min(_BATCH, len(world.users))
        number = chance.choice((1, chance.randint(1, most)))
        users = sample(chance, world.users, number)
        found = [
            Recipient(world.stale(chance), Intent.STALE)
            if chance.random() < share
            else Recipient(user, Intent.MEANT)
            for user in users
        ]
        return tuple(dict.fromkeys(found))


class OfficeMailings(ListServers):
    """Offices that mail an old address list to all recipients at once."""

    name = "office mailings"
    part = OFFICE
    label = "mailing"
    hosts = 40

    def stale_share(self) -> float:
        """Return a share that differs much between senders."""
        values = self.values
        return self.chance.betavariate(
            values["stale share, lists, a"], values["stale share, lists, b"]
        )
