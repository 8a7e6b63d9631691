"""People who write to the users of the site, from their own servers and from big providers.

Each person has a share of stale addresses of their own. A message with several recipients can name
a former colleague; a new contact can mistype. Users of the site wrote to a part of them before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.actors.actor import Actor, Origin, Run, good
from sim.actors.services import Service, make_services
from sim.draw import DAY, arrivals, from_counts, sample, zipf
from sim.parameters import RECIPIENTS
from sim.sessions import Intent, Recipient

if TYPE_CHECKING:
    from random import Random

# Of the site's legitimate messages; the rest is bulk and automatic mail.
SHARE = 0.6
_SPF, _DKIM = 0.9, 0.8
# From then on a server can be acquainted with a sender.
ACQUAINTED_AFTER = 7 * DAY
_KEYBOARD = "qwertyuiop asdfghjkl zxcvbnm"


class Person(NamedTuple):
    """A sender: the local part and domain, where they send from, and their share of stale names."""

    local: str
    domain: str
    service: Service | None
    origin: Origin
    stale: float


class Correspondents(Actor):
    """Senders drawn by Zipf; a part of the messages comes from senders never seen before."""

    name = "correspondents"

    def run(self) -> Run:
        """Yield one session for each message."""
        size, chance = self.world.size, self.chance
        self._first: dict[str, float] = {}
        self._services = make_services(self.world, "mailboxes")
        people = [self._person(f"org{number}") for number in range(max(60, size.users))]
        known = {one.domain for one in people if chance.random() < self._written_to}
        self.world.written_to |= {
            f"{one.local}@{one.domain}" for one in people if one.domain in known
        }
        rate = size.messages * SHARE * self.extent.share
        for number, time in enumerate(arrivals(chance, rate, self.extent.days)):
            if chance.random() < self.values["new contacts"]:
                person, standing = self._person(f"new{number}"), "stranger"
            else:
                person = zipf(chance, people)
                standing = self._standing(person, time, is_known=person.domain in known)
            origin = person.origin
            if person.service is not None:
                origin = person.service.origin(chance, person.domain)
            recipients = self._recipients(person, is_new=standing == "stranger")
            yield origin.session(time, good(origin, person.local, recipients, "message", standing))

    def _standing(self, person: Person, time: float, *, is_known: bool) -> str:
        """Return what a server can have seen of a sender, whose domain must be proven."""
        first = self._first.setdefault(person.domain, time)
        if person.service is None and not (person.origin.spf or person.origin.dkim):
            return "unproven"
        if is_known:
            return "trusted"
        return "acquainted" if time - first >= ACQUAINTED_AFTER else "regular"

    @property
    def _written_to(self) -> float:
        return self.values["correspondents written to"]

    def _person(self, label: str) -> Person:
        chance, values = self.chance, self.values
        domain = f"{label}.example"
        stale = chance.betavariate(values["stale share, a"], values["stale share, b"])
        shared = chance.random() < values["senders on shared networks"]
        service = chance.choice(self._services) if shared else None
        client = "" if shared else f"{self._network()}.{chance.randrange(2, 250)}"
        origin = Origin(client, domain, chance.random() < _SPF, chance.random() < _DKIM)
        return Person("person", domain, service, origin, stale)

    def _network(self) -> str:
        """Return a network of the sender's own, or one that it has in common with bots."""
        if self.chance.random() < self.values["senders next to bots"]:
            return self.world.network_of_bots(self.chance)
        return self.world.network()

    def _recipients(self, person: Person, *, is_new: bool) -> tuple[Recipient, ...]:
        """Return users, of which some are former users or mistyped; at least one is meant."""
        chance, number = self.chance, from_counts(self.chance, RECIPIENTS)
        found = []
        for at, user in enumerate(sample(chance, self.world.users, number)):
            if at and chance.random() < person.stale:
                found.append(Recipient(self.world.stale(chance), Intent.STALE))
            elif is_new and chance.random() < self.values["typo"]:
                found.append(Recipient(mistyped(chance, user), Intent.TYPO))
            else:
                found.append(Recipient(user, Intent.MEANT))
        return tuple(found)


def mistyped(chance: Random, address: str) -> str:
    """Return another address, with a neighbour of the right key, a key too few, or two swapped."""
    found = address
    while found == address:
        found = _mistyped(chance, address)
    return found


def _mistyped(chance: Random, address: str) -> str:
    local, _, domain = address.partition("@")
    at = chance.randrange(len(local) - 1)
    kind = chance.randrange(3)
    if kind == 0:
        return f"{local[:at]}{_neighbour(chance, local[at])}{local[at + 1 :]}@{domain}"
    if kind == 1 and len(local) > 2 and at:
        return f"{local[:at]}{local[at + 1 :]}@{domain}"
    return f"{local[:at]}{local[at + 1]}{local[at]}{local[at + 2 :]}@{domain}".replace("..", ".")


def _neighbour(chance: Random, key: str) -> str:
    at = _KEYBOARD.find(key)
    near = (_KEYBOARD[at - 1 : at] + _KEYBOARD[at + 1 : at + 2]).strip() if at >= 0 else ""
    return chance.choice(near) if near else "x"
