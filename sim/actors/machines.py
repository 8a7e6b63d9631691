"""Honest machines: forwarders, bounces of forged mail, call-outs, monitoring, confirmations."""

from __future__ import annotations

from collections.abc import Iterator

from sim.actors.actor import Actor, Origin, Run, good, to
from sim.draw import DAY, HOUR, arrivals, sample
from sim.sessions import Envelope, Facts, Intent, Kind, Session

FORWARDED = 0.04
_FORWARDERS = 5
_BURSTS_PER_DAY = 0.2
_ROBOTS = 0.03


class Forwarders(Actor):
    """Hosts that forward mail of our users, spam too: SPF fails, DKIM of the author survives."""

    name = "forwarders"

    def run(self) -> Run:
        """Yield one session for each message."""
        chance, values, world = self.chance, self.values, self.world
        hosts = [f"{world.network()}.7" for _ in range(_FORWARDERS)]
        users = sample(chance, world.users, 30)
        rate = world.size.messages * FORWARDED * self.extent.share
        for time in arrivals(chance, rate, self.extent.days):
            user = chance.choice(users)
            origin = Origin(chance.choice(hosts), f"author{chance.randrange(500)}.example", False)
            if chance.random() < values["forwarded spam"]:
                one = Envelope(
                    f"x@{origin.domain}",
                    to([user], Intent.LIST),
                    Kind.SPAM,
                    Facts(looks_bad=chance.random() < values["content filter"]),
                    label="forwarded",
                )
            elif chance.random() < 0.02:
                one = good(origin, "a", to([world.stale(chance)], Intent.STALE), "forwarded")
            else:
                one = good(origin, "a", to([user], Intent.MEANT), "forwarded")
            yield Session(time, origin.client, "forward.example", (one,))


class Backscatter(Actor):
    """Bounces of mail that was forged with an address of the site: user, trap or dead.

    One forged address gets bounces from many networks in a day. A small part has a sender.
    """

    name = "backscatter"

    def run(self) -> Run:
        """Yield bursts of single bounces."""
        chance, world, values = self.chance, self.world, self.values
        for start in _apart(arrivals(chance, _BURSTS_PER_DAY, self.extent.days)):
            forged = chance.choice(
                (chance.choice(world.planned), chance.choice(world.users), world.dead(chance))
            )
            number = round(values["backscatter networks"])
            origins = [
                Origin(f"{world.network()}.9", f"bouncer{chance.randrange(10**9)}.example")
                for _ in range(number)
            ]
            for at, origin in enumerate(origins):
                named = chance.random() < values["bounces with a sender"]
                yield origin.session(
                    start + at * DAY / number, _bounce(origin, forged, named=named)
                )
            for at, origin in enumerate(origins):  # the same servers send real mail later
                user = to([chance.choice(world.users)], Intent.MEANT)
                yield origin.session(start + DAY + at, good(origin, "a", user, "after"))


def _bounce(origin: Origin, forged: str, *, named: bool) -> Envelope:
    sender = f"MAILER-DAEMON@{origin.domain}" if named else ""
    facts = origin.facts() if named else Facts()
    return Envelope(sender, to([forged], Intent.STALE), Kind.LEGITIMATE, facts, label="bounce")


class Robots(Actor):
    """Call-outs that check a sender address, and monitoring that only sends EHLO."""

    name = "call-outs"

    def run(self) -> Run:
        """Yield sessions without a message."""
        chance, world = self.chance, self.world
        rate = world.size.messages * (self.values["call-outs"] + _ROBOTS) * self.extent.share
        hosts = [f"{world.network()}.3" for _ in range(20)]
        for time in arrivals(chance, rate, self.extent.days):
            client = chance.choice(hosts)
            if chance.random() < 0.5:
                yield Session(time, client, "monitor.example", ())
                continue
            asked = chance.choice([chance.choice(world.users), world.dead(chance)])
            probe = Envelope("", to([asked], Intent.PROBE), Kind.LEGITIMATE, probe=True)
            yield Session(time, client, "verifier.example", (probe,))


class ListBombing(Actor):
    """Sign-ups at hundreds of honest hosts: confirmations go to one user and to guesses."""

    name = "list bombing"
    hosts = 200

    def run(self) -> Run:
        """Yield one burst of confirmation mails, and the next newsletter of each host."""
        chance, world = self.chance, self.world
        victim, start = chance.choice(world.users), self.extent.days * DAY * 0.5
        origins = [
            Origin(f"{world.network()}.11", f"confirm{number}.example")
            for number in range(self.hosts)
        ]
        for number, origin in enumerate(origins):
            target = victim if chance.random() < 0.5 else chance.choice(world.guessable)
            meant = Intent.MEANT if target == victim else Intent.POISON
            yield origin.session(
                start + number, good(origin, "confirm", to([target], meant), "confirmation")
            )
        for number, origin in enumerate(origins):
            user = to([chance.choice(world.users)], Intent.MEANT)
            yield origin.session(start + HOUR + number, good(origin, "news", user, "after"))


def _apart(times: Iterator[float]) -> Iterator[float]:
    """Yield times that are two days apart, so that bursts do not overlap."""
    free = 0.0
    for time in times:
        if time >= free:
            free = time + 2 * DAY
            yield time
