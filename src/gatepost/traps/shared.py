"""Shared networks: those from which many organisations send, so that none answers for another.

A trap hit of one customer of a provider must not touch the others. A network is shared if at least
DOMAINS organisational domains were first seen there at least 30 days ago, passed aligned SPF or
DKIM, and had mail accepted in the last 7 days. Without the age, a spammer with a new signed domain
every half hour would make the network shared in a morning.

A server has no such history in its first 30 days. `gatepost.lists.providers` has a shipped list of
big providers for that time.

The caller passes organisational domains and the key of a network (`memory.network_keys`), and only
what was accepted and proven. Times are arguments, in seconds.

Limits: `most` networks, each with MOST_DOMAINS domains. A domain without recent mail is dropped
first, then the youngest: a busy network keeps the domains that make it a shared one, and many new
domains cannot push them out. Among networks the one without mail for the longest time is dropped.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from gatepost.traps.memory import DAY

DOMAINS = 5
MOST_DOMAINS = 32
MOST_NETWORKS = 50_000


class SeenDomain(NamedTuple):
    """A domain in a network: its first and its last accepted mail, in seconds."""

    first: float
    last: float


class SharedRule(msgspec.Struct, frozen=True):
    """The limits of the rule; `age` and `recent` are in seconds."""

    domains: int = DOMAINS
    age: float = 30 * DAY
    recent: float = 7 * DAY

    def is_shared(self, now: float, seen: Iterable[SeenDomain]) -> bool:
        """Return whether the domains of a network make it a shared one."""
        counted = sum(now - one.first >= self.age and now - one.last <= self.recent for one in seen)
        return counted >= self.domains

    def with_mail(
        self, now: float, seen: Mapping[str, SeenDomain], domain: str
    ) -> dict[str, SeenDomain]:
        """Return the domains of a network after accepted mail of one; at most MOST_DOMAINS."""
        earlier = seen.get(domain)
        found = {**seen, domain: SeenDomain(earlier.first if earlier else now, now)}
        while len(found) > MOST_DOMAINS:
            del found[max(found, key=lambda name: self._rank(now, found[name]))]
        return found

    def _rank(self, now: float, one: SeenDomain) -> tuple[bool, float]:
        """Return the rank of a domain, the highest for what is worth the least."""
        silent = now - one.last
        is_old = silent > self.recent
        return is_old, silent if is_old else one.first


class SharedNetworks:
    """The domains that each network sent good mail for."""

    def __init__(self, rule: SharedRule | None = None, most: int = MOST_NETWORKS) -> None:
        self.rule = rule or SharedRule()
        self._most = most
        self._seen: dict[str, dict[str, SeenDomain]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def accepted(self, now: float, network: str, domain: str) -> None:
        """Record an accepted message of a proven organisational domain."""
        domains = self._seen.pop(network, {})
        self._seen[network] = self.rule.with_mail(now, domains, domain)  # the last one now
        if len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]

    def is_shared(self, now: float, network: str) -> bool:
        """Return whether a network is shared."""
        return self.rule.is_shared(now, self._seen.get(network, {}).values())

    def dump(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Return everything: for each network its domains, with whole seconds."""
        return {
            network: {domain: (int(one.first), int(one.last)) for domain, one in domains.items()}
            for network, domains in self._seen.items()
        }

    def load(self, seen: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
        """Replace everything with what `dump` returned."""
        self._seen = {
            network: {domain: SeenDomain(*times) for domain, times in domains.items()}
            for network, domains in seen.items()
        }
