"""The target `mx:`: mail goes to the hosts that the DNS names for the recipient's domain.

A delivery is one transaction for each domain. Its hosts are tried in turn, and all addresses of
each, as long as the connection is the reason; what a host says of the message or a recipient
stands. A host's connections are kept as those of any next hop.

Security: the DNS of a domain is its owner's to write. Addresses that cannot be a stranger's – this
machine's, unspecified, of a group – are not connected to; see `is_reachable`.
Limits: MAX_POOLS hosts with connections at a time; those without any are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

import msgspec

from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.dial import dial
from gatepost.delivery.smtp.hop import PORTS, Hop
from gatepost.delivery.smtp.mx_lookup import exchangers, unresolved
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.target import DeliveryError
from gatepost.model.address import domain_key
from gatepost.net.resolver import NoSuchNameError, ResolveError, Resolver

if TYPE_CHECKING:
    from gatepost.delivery.smtp.introduce import Introduced
    from gatepost.delivery.smtp.link import Link
    from gatepost.delivery.smtp.settings import Settings
    from gatepost.delivery.target import Delivery, Failures
    from gatepost.model.session import Recipient

MAX_POOLS = 1000


def is_reachable(address: str) -> bool:
    """Whether an address may be another host's."""
    parsed = ip_address(address)
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast)


class MxHost(Relay):
    """A next hop whose addresses are known from the DNS."""

    def __init__(self, hop: Hop, settings: Settings, addresses: Sequence[str]) -> None:
        super().__init__(hop, settings)
        self.addresses = addresses

    async def _dial(self, client: Introduced | None) -> Link:
        return await dial(self.hop, self._settings, client, self.addresses)


class MxRelay:
    """Delivers to whatever hosts `resolver` names; `hostname` is this host's name."""

    hands_on = True

    def __init__(
        self,
        settings: Settings,
        resolver: Resolver,
        hostname: str,
        *,
        port: int = PORTS["smtp"],
        reachable: Callable[[str], bool] = is_reachable,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._hostname = domain_key(hostname)
        self._port = port
        self._reachable = reachable
        self._relays: dict[str, MxHost] = {}

    def destination(self, recipient: Recipient) -> str:
        """See `Branching`."""
        return f"mx:{self._domain(recipient)}"

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """See `Target.deliver`."""
        shares: dict[str, list[Recipient]] = {}
        for recipient in delivery.recipients:
            shares.setdefault(self._domain(recipient), []).append(recipient)
        failures: dict[Recipient, DeliveryError] = {}
        for domain, recipients in shares.items():
            part = msgspec.structs.replace(delivery, recipients=recipients)
            try:
                failures |= await self._deliver_to(domain, part) or {}
            except DeliveryError as error:
                failures |= dict.fromkeys(recipients, error)
        return failures or None

    async def stop(self) -> None:
        """See `Stoppable`."""
        for relay in self._relays.values():
            await relay.stop()

    def _domain(self, recipient: Recipient) -> str:
        return domain_key(recipient.address.domain) or self._hostname

    async def _deliver_to(self, domain: str, delivery: Delivery) -> Failures | None:
        problem: DeliveryError = errors.unreachable(f"mx:{domain}: no host has an address")
        for host in await exchangers(self._resolver, domain, self._hostname):
            try:
                relay = await self._relay(host)
                return await relay.deliver(delivery)
            except errors.NextHopError as error:
                problem = error
        raise problem

    async def _relay(self, host: str) -> MxHost:
        """Return what delivers to a host; raises `NextHopError` if it has no address."""
        addresses = [one for one in await self._addresses(host) if self._reachable(one)]
        if not addresses:
            raise errors.unreachable(f"{host}: no address that could be another host's")
        relay = self._relays.get(host)
        if relay is None:
            self._make_room()
            relay = MxHost(Hop("smtp", host, self._port), self._settings, addresses)
            self._relays[host] = relay
        relay.addresses = addresses
        return relay

    async def _addresses(self, host: str) -> list[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        try:
            return await self._resolver.addresses(host)
        except NoSuchNameError:
            return []
        except ResolveError as error:
            failure = unresolved(str(error))
            raise errors.NextHopError(
                failure.text, detail=failure.detail, reply=failure.reply
            ) from error

    def _make_room(self) -> None:
        if len(self._relays) >= MAX_POOLS:
            self._relays = {host: one for host, one in self._relays.items() if not one.unused}
        if len(self._relays) >= MAX_POOLS:
            raise errors.busy(f"connections to {MAX_POOLS} hosts")
