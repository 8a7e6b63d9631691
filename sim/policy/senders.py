"""Senders as the policy has seen them: standing, shared networks, and the keys of the memory."""

from __future__ import annotations

import functools
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from gatepost.checks.backtest.standing import domain_of
from gatepost.lists.domains import DomainList
from gatepost.lists.networks import NetworkList
from gatepost.lists.providers import Providers
from gatepost.traps.memory import DAY, domain_key_of, is_proven, network_keys
from gatepost.traps.organisations import organisational
from gatepost.traps.shared import SharedNetworks
from gatepost.traps.verdicts import Standing

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost import Transaction
    from sim.policy.settings import Settings

ACQUAINTED_AFTER = 7 * DAY
# Senders of bounces and automatic replies that do not use the null sender.
_BOUNCE_LIKE = ("mailer-daemon", "postmaster", "double-bounce", "bounce")


class Identity(NamedTuple):
    """The sender of a message: address, organisation, network, and what was proven."""

    address: str
    organisation: str
    networks: tuple[str, ...]
    name: str
    spf: bool
    dkim: bool

    @property
    def is_bounce(self) -> bool:
        """Return whether the sender is the null sender, or looks like that of a bounce."""
        return not self.address or self.address.startswith(_BOUNCE_LIKE)


def identify(tx: Transaction) -> Identity:
    """Return the sender of a transaction, with the results that other plugins added."""
    sender = str(tx.reverse_path).lower()
    organisation = organisational(domain_of(sender))
    signed = [one.facts.get("domain") for one in tx.results if one.name == "dkim"]
    iprev = tx.results.get("iprev")
    return Identity(
        sender,
        organisation,
        _networks(tx.session.peer.host),
        str(iprev.facts.get("host", "")) if iprev else "",
        tx.results.value("spf") == "pass",
        organisation in signed,
    )


@functools.lru_cache(10_000)
def _networks(host: str) -> tuple[str, ...]:
    return network_keys(ip_address(host))


class Senders:
    """The senders so far; `providers` are names of sending services, `written_to` addresses."""

    def __init__(
        self, settings: Settings, providers: Collection[str], written_to: Collection[str]
    ) -> None:
        self._settings = settings
        suffixes = DomainList.from_lines(sorted(providers), "providers")
        self._providers = Providers(suffixes, NetworkList.from_lines([], "networks"))
        self._written_to = written_to
        self._shared = SharedNetworks()
        self._first: dict[str, float] = {}  # the first good mail of an organisation
        self._bad: set[str] = set()

    def standing(self, now: float, who: Identity) -> Standing:
        """Return the standing; a forged sender has none."""
        if not (who.spf or who.dkim):
            return Standing.STRANGER
        if self._settings.trusted and who.address in self._written_to:
            return Standing.TRUSTED
        first = self._first.get(who.organisation, now)
        is_old = now - first >= ACQUAINTED_AFTER and who.organisation not in self._bad
        return Standing.ACQUAINTED if self._settings.acquainted and is_old else Standing.STRANGER

    def is_shared(self, now: float, who: Identity) -> bool:
        """Return whether the network is shared, by the list of providers or by its own history."""
        if not self._settings.shared:
            return False
        return self._providers.covers(None, who.name) or any(
            self._shared.is_shared(now, one) for one in who.networks
        )

    def keys(self, now: float, who: Identity) -> list[str]:
        """Return the keys of the memory: the network unless it is shared, the domain if proven."""
        shared = self.is_shared(now, who)
        keys = [] if shared else list(who.networks)
        proven = is_proven(spf_aligned=who.spf, dkim_aligned=who.dkim, shared_network=shared)
        if who.organisation and (proven if self._settings.proof else who.spf or who.dkim):
            keys.append(domain_key_of(who.organisation))
        return keys

    def accepted(self, now: float, who: Identity, *, looks_bad: bool) -> None:
        """Learn from an accepted message."""
        if not (who.spf or who.dkim) or not who.organisation:
            return
        if looks_bad:
            self._bad.add(who.organisation)
            return
        self._first.setdefault(who.organisation, now)
        for one in who.networks:
            self._shared.accepted(now, one, who.organisation)

    def hit(self, who: Identity) -> None:
        """Note that a proven organisation hit a trap."""
        if who.spf:
            self._bad.add(who.organisation)
