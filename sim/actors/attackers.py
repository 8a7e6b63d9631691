"""Attackers A1 to A3 and A5 to A7: they aim at the trap rules themselves. A4 is `sim.oracle`.

An attempt has sessions of the attack, and then a session labelled "test" whose result decides. A
test of A1 and A2 is honest mail that must be accepted; of A3 it is spam that must be refused.
"""

from __future__ import annotations

from abc import abstractmethod

import msgspec

from sim.actors.actor import Actor, Origin, Run, good, to
from sim.actors.merging import merge
from sim.actors.services import make_services
from sim.actors.spammers import DictionaryVerifier
from sim.draw import DAY, HOUR, token
from sim.sessions import Envelope, Facts, Intent, Kind, Recipient, Session

TEST = "test"


class Attempts(Actor):
    """Attempts at equal distances over the simulation, one after the other."""

    attempts = 1000
    first_day = 1.0

    def run(self) -> Run:
        """Yield the sessions of each attempt."""
        self.prepare()
        attempts = max(1, round(self.attempts * self.extent.attempts))
        room = (self.extent.days - self.first_day) * DAY / attempts
        for number in range(attempts):
            yield from self.attempt(number, self.first_day * DAY + number * room)

    def prepare(self) -> None:
        """Make what all attempts share."""

    @abstractmethod
    def attempt(self, number: int, time: float) -> Run:
        """Yield the sessions of one attempt; they take less than a minute."""

    def attack(
        self, origin: Origin, sender: str, recipients: tuple[Recipient, ...], facts: Facts
    ) -> Envelope:
        """Return a message of the attacker."""
        del origin
        return Envelope(sender, recipients, Kind.ATTACK, facts, label="attack")

    def user(self) -> tuple[Recipient, ...]:
        """Return any user as the recipient."""
        return to([self.chance.choice(self.world.users)], Intent.MEANT)

    def trap(self) -> tuple[Recipient, ...]:
        """Return a trap that no person can guess: the attacker has found it before."""
        return to([self.chance.choice(self.world.planned)], Intent.POISON)


class Poisoner(Attempts):
    """A1: mails a future address together with traps; it is created, and gets a stranger's mail."""

    name = "A1 poisoner"

    def attempt(self, number: int, time: float) -> Run:
        """Send from ten networks, create the user, send honest mail."""
        address = self.world.future(number)
        target = to([address], Intent.POISON)
        for at in range(10):
            origin = Origin(
                f"{self.world.network_of_bots(self.chance)}.4", "poison.example", False, False
            )
            one = self.attack(origin, "p@poison.example", (*target, *self.trap()), Facts())
            yield origin.session(time + at, one)
        self.world.user_set.add(address)
        honest = Origin(f"{self.world.network()}.5", f"newcomer{number}.example")
        meant = to([address], Intent.MEANT)
        yield honest.session(time + 30, good(honest, "a", meant, TEST, "stranger"))


class _Framer(Attempts):
    """A2: makes an honest sender look like one that hits traps."""

    def honest(self, number: int) -> Origin:
        """Return a victim: a small organisation with its own server, not seen before."""
        return Origin(f"{self.world.network()}.8", f"victim{number}{self.slug}.example")

    @property
    def slug(self) -> str:
        """The name without spaces, so that actors have different victims."""
        return "".join(one for one in self.name.lower() if one.isalnum())

    def test(self, victim: Origin, time: float) -> Session:
        """Return the victim's own mail to a user."""
        return victim.session(time + 30, good(victim, "a", self.user(), TEST, "stranger"))


class SignUpFramer(_Framer):
    """A2: enters guessable traps into the victim's sign-up form; the victim confirms by mail."""

    name = "A2 sign-up, guessable"

    def attempt(self, number: int, time: float) -> Run:
        """Send the confirmation, then the victim's own mail."""
        victim = self.honest(number)
        yield victim.session(time, good(victim, "confirm", self.signed_up(), "confirmation"))
        yield self.test(victim, time)

    def signed_up(self) -> tuple[Recipient, ...]:
        """Return a role name: anyone can guess that it exists."""
        return to([self.chance.choice(self.world.guessable)], Intent.POISON)


class TrapFramer(SignUpFramer):
    """A2: the same with a trap that the attacker unmasked before."""

    name = "A2 sign-up, known trap"

    def signed_up(self) -> tuple[Recipient, ...]:
        """Return a trap that cannot be guessed."""
        return self.trap()


class ForgingFramer(_Framer):
    """A2: forges the victim as the sender, from hosts of the attacker."""

    name = "A2 forged sender"

    def attempt(self, number: int, time: float) -> Run:
        """Send a forged message to a trap, then the victim's own mail."""
        victim = self.honest(number)
        origin = Origin(f"{self.world.network_of_bots(self.chance)}.6", victim.domain)
        one = self.attack(origin, f"a@{victim.domain}", self.trap(), self.facts(victim))
        yield Session(time, origin.client, "attacker.example", (one,))
        yield self.test(victim, time)

    def facts(self, victim: Origin) -> Facts:
        """Return no proof: SPF fails."""
        del victim
        return Facts()


class ReplayFramer(ForgingFramer):
    """A2: replays a signed message of the victim to a trap: DKIM is valid, SPF is not."""

    name = "A2 DKIM replay"

    def facts(self, victim: Origin) -> Facts:
        """Return a valid signature."""
        return Facts(dkim=(victim.domain,))


class SharedFramer(_Framer):
    """A2: a customer of the victim's sending service forges the victim: only SPF passes.

    Other customers of the service have sent good mail since the first day. So 30 days later the
    network is a shared one.
    """

    name = "A2 shared SPF"
    tenants = 8
    known_after = 31.0  # days

    def run(self) -> Run:
        """Yield the attempts, and the mail of the other customers."""
        self._services = make_services(self.world, "framed")  # half of them are in the shipped list
        yield from merge((self._tenants_mail(), super().run()))

    def _tenants_mail(self) -> Run:
        hosts = [
            (service, f"{network}.9") for service in self._services for network in service.networks
        ]
        for day in range(int(self.extent.days)):
            for at, (service, host) in enumerate(hosts):
                for number in range(self.tenants):
                    origin = service.tenant(host, f"tenant{number}.{service.name}")
                    one = good(origin, "a", self.user(), "tenant")
                    yield origin.session(day * DAY + at, one)

    def attempt(self, number: int, time: float) -> Run:
        """Send a forged message through the service, then the victim's own mail through it."""
        service = self._services[number % len(self._services)]
        victim = service.origin(self.chance, f"victim{number}s.example")
        facts = Facts(spf=True, name=victim.name)
        one = self.attack(victim, f"a@{victim.domain}", self.trap(), facts)
        yield victim.session(time, one)
        label = f"{TEST}{'' if service.listed else self._when(time)}"
        yield victim.session(time + 30, good(victim, "a", self.user(), label, "stranger"))

    def _when(self, time: float) -> str:
        is_known = time >= self.known_after * DAY
        return " unlisted, after 30 days" if is_known else " unlisted, before"


class Disarmer(Attempts):
    """A3: writes to our correspondents with a trap in Cc; they reply to all.

    The test is a stranger's spam to a user and that trap: it must still be refused.
    """

    name = "A3 disarmer"

    def prepare(self) -> None:
        """Make correspondents that our users wrote to."""
        self._friends = [
            Origin(f"{self.world.network()}.8", f"friend{n}.example") for n in range(50)
        ]
        self.world.written_to |= {f"a@{one.domain}" for one in self._friends}

    def attempt(self, number: int, time: float) -> Run:
        """Let up to five correspondents reply to all, then send spam to the same trap."""
        trap = self.trap()
        for at, friend in enumerate(self.chance.sample(self._friends, self.chance.randint(1, 5))):
            both = (*self.user(), *trap)
            reply = good(friend, "a", both, "reply to all", "trusted")
            yield friend.session(time + at, msgspec.structs.replace(reply, is_reply=True))
        origin = Origin(f"{self.world.network()}.4", f"spam{number}.example")
        spam = Envelope(
            f"x@{origin.domain}", (*self.user(), *trap), Kind.ATTACK, origin.facts(), label=TEST
        )
        yield origin.session(time + 30, spam)


class Flooder(Actor):
    """A5: random local parts, one or a few for each transaction, from one host."""

    name = "A5 flooder"
    number = 20_000

    def run(self) -> Run:
        """Yield an hour of sessions with five random recipients each."""
        chance, start = self.chance, self.extent.days * DAY * 0.7
        client = f"{self.world.network()}.66"
        for at in range(self.number // 5):
            names = [self.world.at(token(chance, 6, 14)) for _ in range(5)]
            one = Envelope("f@flood.example", to(names, Intent.GUESS), Kind.ATTACK, probe=True)
            yield Session(start + at * HOUR * 5 / self.number, client, "flood.example", (one,))


class WarmUp(Actor):
    """A6: sends harmless mail for 14 days, and then spam; a part of it names a trap too."""

    name = "A6 warm-up"
    senders = 20

    def run(self) -> Run:
        """Yield the mail of all senders, day by day."""
        chance = self.chance
        origins = [
            Origin(f"{self.world.network()}.3", f"warm{n}.example") for n in range(self.senders)
        ]
        for day in range(1, 15):
            for at, origin in enumerate(origins):
                user = to([chance.choice(self.world.users)], Intent.MEANT)
                yield origin.session(
                    day * DAY + at, self._mail(origin, user, Kind.ATTACK, "warm-up")
                )
        for at, origin in enumerate(origins):
            for number in range(20):
                recipients = to([chance.choice(self.world.users)], Intent.LIST)
                if chance.random() < self.values["traps on a list"] * 2:
                    recipients += to([chance.choice(self.world.planned)], Intent.LIST)
                one = self._mail(origin, recipients, Kind.SPAM, "spam")
                yield origin.session(16 * DAY + at * HOUR + number, one)

    def _mail(
        self, origin: Origin, recipients: tuple[Recipient, ...], kind: Kind, label: str
    ) -> Envelope:
        facts = origin.facts(looks_bad=kind is Kind.SPAM and self.chance.random() < 0.5)
        sender, campaign = f"w@{origin.domain}", f"{self.name}/{origin.domain}"
        return Envelope(sender, recipients, kind, facts, label, campaign)


class Mixer(DictionaryVerifier):
    """A7: as S1, with 20 to 50 % users, so that the share of unknown recipients is low."""

    name = "A7 mixer"
    valid = 0.35
    campaigns = 6.0
