"""Spammers S1 to S6: what their campaigns look like, and where their lists come from.

Each campaign is a generator of sessions in the order of time; an actor merges its campaigns.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING
from zlib import crc32

from sim.actors.actor import Actor, Origin, Run, to
from sim.actors.merging import merge
from sim.actors.services import make_services
from sim.draw import DAY, HOUR, arrivals, from_counts, sample, token
from sim.names import FIRST, LAST, ROLES
from sim.parameters import BOTNET_RECIPIENTS
from sim.sessions import Envelope, Intent, Kind, Outcome, Recipient, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

_MORNING = 9 * HOUR
# Addresses of a list that S2 and S5 mail. A company's list has up to 16,000; a part is enough.
_LONGEST = 1000


class Spammer(Actor):
    """Campaigns at random times; `campaign` is the sessions of one, `campaigns` their number.

    The number does not depend on the length of the simulation, unless `rate` is overridden.
    """

    campaigns = 1.0

    def rate(self) -> float:
        """Return the number of campaigns in a day."""
        return self.campaigns / self.extent.days

    def run(self) -> Run:
        """Yield the sessions of all campaigns, merged."""
        starts = arrivals(self.chance, self.rate(), self.extent.days)
        yield from merge(
            (self.campaign(start, f"{self.name}/{n}") for n, start in enumerate(starts))
        )

    @abstractmethod
    def campaign(self, start: float, name: str) -> Run:
        """Yield the sessions of one campaign."""

    def spam(
        self,
        origin: Origin,
        local: str,
        recipients: tuple[Recipient, ...],
        campaign: str,
        label: str = "",
    ) -> Envelope:
        """Return a spam message; a part is known to block lists, most to a content filter."""
        values = self.values
        listed = not origin.name and self._listed(origin.client)
        looks_bad = self.chance.random() < values["content filter"]
        return Envelope(
            f"{local}@{origin.domain}",
            recipients,
            Kind.SPAM,
            origin.facts(looks_bad=looks_bad),
            label,
            campaign,
            listed,
        )

    def _listed(self, client: str) -> bool:
        """Return whether block lists have a host: the same for all its messages."""
        share = self.values["block list"]
        return (hash_of(client) % 1000) / 1000 < share

    def domain(self) -> str:
        """Return a domain that is used for this campaign only."""
        return f"{token(self.chance, 8, 12)}.example"


def hash_of(text: str) -> int:
    """Return a number that depends on the text alone, in every process."""
    return crc32(text.encode())


class DictionaryVerifier(Spammer):
    """S1: 99 words and a random name, the same order at each domain; spam to those that exist.

    A host of the network for each transaction. It leaves before DATA unless an address exists.
    """

    name = "S1 dictionary"
    valid = 0.0  # the share of users among the words, for A7
    campaigns = 8.0

    def campaign(self, start: float, name: str) -> Run:
        """Verify for a morning, and return after 1 to 7 days."""
        chance, world = self.chance, self.world
        network, batch = world.network(), int(self.values["dictionary batch"])
        number = int(self.values["dictionary transactions"])
        pace = 8.5 * HOUR / number
        words = self._words()
        found: list[str] = []
        for at in range(number):
            offset = at // len(world.domains) * batch
            asked = [words[(offset + n) % len(words)] for n in range(batch)]
            domain = world.domains[at % len(world.domains)]
            batch_of = self._batch(asked, domain)
            origin = self._origin(network)
            one = self.spam(origin, token(chance, 12, 16), batch_of, name, "verify")
            probe = not any(rcpt.address in world.user_set for rcpt in batch_of)
            outcome = yield Session(
                start + at * pace,
                origin.client,
                f"[{network}.{chance.randrange(1, 255)}]",
                (_ended(one) if probe else one,),
            )
            found += _existing(batch_of, outcome)
        yield from self._return(start, network, found, name)

    def _words(self) -> list[str]:
        words = [
            *FIRST,
            *LAST,
            *ROLES,
            *(f"{one[0]}{two}" for one in FIRST[:30] for two in LAST[:40]),
        ]
        words = list(dict.fromkeys(words))
        self.chance.shuffle(words)
        return words

    def _batch(self, words: Sequence[str], domain: str) -> tuple[Recipient, ...]:
        canary = token(self.chance, 12, 18)
        found = [f"{word}@{domain}" for word in words]
        if self.valid:
            users = self.chance.sample(
                self.world.users, min(len(self.world.users), round(self.valid * len(found)))
            )
            found[: len(users)] = users
            self.chance.shuffle(found)
        return to([*found, f"{canary}@{domain}"], Intent.GUESS)

    def _origin(self, network: str) -> Origin:
        client = f"{network}.{self.chance.randrange(1, 255)}"
        return Origin(client, self.domain(), spf=False, dkim=False)

    def _return(self, start: float, network: str, found: Sequence[str], name: str) -> Run:
        later = start + DAY * self.chance.uniform(1.5, 7)
        for at, address in enumerate(dict.fromkeys(found)):
            origin = self._origin(network)
            one = self.spam(origin, "info", to([address], Intent.LIST), name, "return")
            yield origin.session(later + at * 60, one)


def _ended(one: Envelope) -> Envelope:
    return Envelope(
        one.sender,
        one.recipients,
        one.kind,
        one.facts,
        one.label,
        one.campaign,
        one.listed,
        probe=True,
    )


def _existing(recipients: Sequence[Recipient], outcome: Outcome) -> list[str]:
    codes = outcome[0].recipients
    return [rcpt.address for rcpt, code in zip(recipients, codes, strict=True) if code == 250]


class SortedBlaster(Spammer):
    """S2: neighbours of a sorted list in one transaction, through a compromised account."""

    name = "S2 sorted list"
    campaigns = 12.0

    def run(self) -> Run:
        """Use the services that correspondents have their mailboxes at."""
        self._services = make_services(self.world, "mailboxes")
        yield from super().run()

    def campaign(self, start: float, name: str) -> Run:
        """Yield the whole list in batches."""
        chance, values = self.chance, self.values
        entries = self.world.spam_list(chance, live=1 - values["sorted list, dead"])
        entries = sorted(sample(chance, entries, _LONGEST))
        large = chance.random() < 0.5
        service, domain = chance.choice(self._services), self.domain()
        at, time = 0, start
        while at < len(entries):
            low = int(values["sorted batch, large" if large else "sorted batch, small"])
            number = low + (chance.randint(-2, 2) if large else chance.randint(0, 1))
            batch = to(entries[at : at + number], Intent.LIST)
            origin = service.origin(chance, domain)
            label = "20 to 24" if large else "10 or 11"
            yield origin.session(time, self.spam(origin, "account", batch, name, label))
            at, time = at + number, time + chance.expovariate(1 / 30)


class Snowshoe(Spammer):
    """S3: one network, a new signed domain each half hour, one recipient for each message."""

    name = "S3 snowshoe"
    campaigns = 30.0

    def campaign(self, start: float, name: str) -> Run:
        """Yield the first part of a sorted list, over a morning."""
        chance, values = self.chance, self.values
        entries = sorted(self.world.spam_list(chance))
        users = int(values["snowshoe messages"])
        network = self.world.network()
        pace = _MORNING / max(1, users / values["live share of a list"])
        time, changed, sent = start, start, 0
        domain = self.domain()
        for address in entries:
            if time - changed > values["snowshoe domain"]:
                domain, changed = self.domain(), time
            origin = Origin(f"{network}.{chance.randrange(1, 255)}", domain)
            one = self.spam(origin, "offer", to([address], Intent.LIST), name)
            yield origin.session(time, one)
            time += chance.expovariate(1 / pace)
            sent += address in self.world.user_set
            if sent >= users:
                return


class Botnet(Spammer):
    """S4: thousands of hosts, one message each, random order; senders are forged."""

    name = "S4 botnet"

    def rate(self) -> float:
        """Return a rate that makes about as much spam as legitimate mail."""
        return 12.0 * self.extent.spam

    def campaign(self, start: float, name: str) -> Run:
        """Yield the whole list, over some hours."""
        chance = self.chance
        entries = self.world.spam_list(chance)
        chance.shuffle(entries)
        networks = [self.world.network_of_bots(chance) for _ in range(self._networks(len(entries)))]
        at, time, pace = 0, start, 4 * HOUR / len(entries)
        while at < len(entries):
            number = from_counts(chance, BOTNET_RECIPIENTS)
            client = f"{chance.choice(networks)}.{chance.randrange(1, 255)}"
            origin = Origin(client, self.domain(), spf=False, dkim=False)
            batch = to(entries[at : at + number], Intent.LIST)
            yield origin.session(time, self.spam(origin, "x", batch, name))
            at, time = at + number, time + chance.expovariate(1 / pace)

    def _networks(self, entries: int) -> int:
        return max(1, min(entries, round(self.values["networks of a botnet"])))


class ListBuyers(Spammer):
    """S5: spammers that bought the same list; each cleans it and has a network of its own.

    The role names and random-looking names are removed, and some of what is refused.
    """

    name = "S5 buyers"

    def run(self) -> Run:
        """Yield the mailings of all buyers."""
        chance, days = self.chance, self.extent.days
        entries = sample(chance, self.world.spam_list(chance), _LONGEST)
        starts = sorted(chance.uniform(0, days * DAY) for _ in range(self._buyers))
        yield from merge(
            self._mailing(start, f"{self.name}/{n}", self._cleaned(entries))
            for n, start in enumerate(starts)
        )

    @property
    def _buyers(self) -> int:
        return round(self.values["buyers of a list"])

    def campaign(self, start: float, name: str) -> Run:
        """Yield one mailing of a list."""
        return self._mailing(start, name, self.world.spam_list(self.chance))

    def _cleaned(self, entries: Sequence[str]) -> list[str]:
        keep = 1 - self.values["cleaned by a buyer"]
        named = [one for one in entries if one.partition("@")[0] not in ROLES]
        human = [one for one in named if not any(map(str.isdigit, one.partition("@")[0]))]
        return [one for one in human if self.chance.random() < keep]

    def _mailing(self, start: float, name: str, entries: list[str]) -> Run:
        chance, network, time = self.chance, self.world.network(), start
        domain = self.domain()
        removed: set[str] = set()
        for wave in range(2):
            chance.shuffle(entries)
            for address in entries:
                if address in removed:
                    continue
                origin = Origin(f"{network}.{chance.randrange(1, 255)}", domain)
                one = self.spam(
                    origin, "sale", to([address], Intent.LIST), name, f"wave {wave + 1}"
                )
                outcome = yield origin.session(time, one)
                time += chance.expovariate(1 / 120)
                refused = not outcome[0].is_accepted
                if refused and chance.random() < self.values["removed after 5xx"]:
                    removed.add(address)
            time += 2 * DAY


class Harvester(Spammer):
    """S6: takes every address-like text of a web site, and mails it once, some days later."""

    name = "S6 harvester"
    campaigns = 20.0

    def campaign(self, start: float, name: str) -> Run:
        """Yield one mailing of what was found, after a log-normal time."""
        chance, world, values = self.chance, self.world, self.values
        wait = chance.lognormvariate(0, 0.8) * values["harvest to first spam"] * DAY
        if start + wait > self.extent.days * DAY:
            return
        seeds = [one for one in world.seeds if chance.random() < values["seeds that are harvested"]]
        identifiers = chance.sample(world.message_ids, len(world.message_ids) // 4)
        users = chance.sample(world.users, max(1, min(40, len(world.users) // 2)))
        entries = [*seeds, *identifiers, *users]
        chance.shuffle(entries)
        network, domain, time = world.network(), self.domain(), start + wait
        for address in entries:
            origin = Origin(f"{network}.{chance.randrange(1, 255)}", domain)
            yield origin.session(time, self.spam(origin, "hello", to([address], Intent.LIST), name))
            time += chance.expovariate(1 / 60)
