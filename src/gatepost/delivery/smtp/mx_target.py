"""The target `mx:`, which delivers to the hosts that the DNS names for the recipient's domain.

A delivery is one transaction for each domain. Its hosts, and all addresses of each, are tried in
turn until one accepts or refuses the recipients. A recipient with a temporary failure is tried at
the next host. Connections are kept as for any next hop.

Security: the DNS data of a domain is controlled by its owner. Addresses that cannot belong to
another host (loopback, unspecified, multicast, link-local, those of this machine) are not used; see
`is_reachable`. An IPv4 address within an IPv6 address is examined too.
Limits: MAX_HOSTS_CONNECTED hosts with connections, others are dropped; MAX_ADDRESSES of a host.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Self

import msgspec

from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.dial import MAX_ADDRESSES
from gatepost.delivery.smtp.hop import PORTS, Hop
from gatepost.delivery.smtp.mx_lookup import lookup_failed, mail_hosts
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.smtp.relay_target import client_warnings
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.delivery.target import Delivery, DeliveryError, Failures, Target, TargetSpec
from gatepost.model.address import domain_key
from gatepost.model.session import Recipient
from gatepost.net.own_address import embedded, is_own_address
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import Resolver

MAX_HOSTS_CONNECTED = 1000
# "This network" of RFC 1122 s3.2.1.3, which some systems deliver locally, and broadcast.
_SPECIAL = (ip_network("0.0.0.0/8"), ip_network("255.255.255.255"))


def is_reachable(address: str) -> bool:
    """Return whether an address may belong to another host."""
    candidates = embedded(address)
    return not any(_is_special(one) for one in candidates) and not is_own_address(
        str(candidates[0])
    )


def _is_special(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or any(address in network for network in _SPECIAL if network.version == address.version)
    )


def _is_for_next_host(error: DeliveryError) -> bool:
    """Return whether another host may accept the message: not after a 5yz, or if one may have it.

    RFC 5321 section 5.1 requires to try the other hosts.
    """
    return not error.permanent and not isinstance(error, errors.UncertainError)


def _more_specific(earlier: DeliveryError | None, error: DeliveryError) -> DeliveryError:
    """Return the later failure, unless only the earlier one is a host's reply or connection."""
    if earlier is None or _weight(error) >= _weight(earlier):
        return error
    return earlier


def _weight(error: DeliveryError) -> int:
    if isinstance(error, errors.NoSuchHostError):
        return 0
    return 2 if error.answered or isinstance(error, errors.UncertainError) else 1


class MxTarget(Target):
    """Delivers to the hosts that `resolver` names; `hostname` is this host's name."""

    options_table = "client"
    final_delivery = False
    uses_dns = True

    def __init__(
        self,
        settings: ClientSettings,
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
        self._relays: dict[str, Relay] = {}

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `mx:`."""
        if spec.text:
            raise ValueError(f"expected nothing after the colon, found {spec.text!r}")
        settings = ClientSettings.make(spec.options, spec.base, spec.hostname)
        return cls(settings, spec.resolver, spec.hostname)

    def destination(self, rcpt: Recipient) -> str:
        """Return a destination for each domain."""
        return f"mx:{self._domain(rcpt)}"

    def warnings(self) -> Iterator[str]:
        """Yield warnings about options."""
        return client_warnings(self._settings)

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """Deliver a message in one transaction for each domain."""
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
        """Close the connections."""
        for relay in self._relays.values():
            await relay.stop()

    def _domain(self, recipient: Recipient) -> str:
        return domain_key(recipient.address.domain) or self._hostname

    async def _deliver_to(self, domain: str, delivery: Delivery) -> Failures | None:
        """Try each host in turn with the recipients that no host has accepted or refused."""
        failures: dict[Recipient, DeliveryError] = {}
        rest = list(delivery.recipients)
        for host in await mail_hosts(self._resolver, domain, self._hostname):
            found = await self._try_host(host, msgspec.structs.replace(delivery, recipients=rest))
            for one in rest:
                earlier = failures.pop(one, None)
                if one in found:
                    failures[one] = _more_specific(earlier, found[one])
            rest = [one for one in rest if one in found and _is_for_next_host(found[one])]
            if not rest:
                break
        missing = errors.impossible("5.4.4", f"No mail server of domain {domain} was found")
        return {
            one: missing if isinstance(error, errors.NoSuchHostError) else error
            for one, error in failures.items()
        }

    async def _try_host(self, host: str, delivery: Delivery) -> Failures:
        try:
            relay = await self._relay(host)
            return await relay.deliver(delivery) or {}
        except DeliveryError as error:
            return dict.fromkeys(delivery.recipients, error)

    async def _relay(self, host: str) -> Relay:
        """Return the relay for a host; raise `NextHopError` if it has no usable address."""
        found = await self._addresses(host)
        if not found:
            raise errors.no_such_host(host)
        addresses = [one for one in found if self._reachable(one)][:MAX_ADDRESSES]
        if not addresses:
            raise errors.unreachable(f"{host}: no address that may belong to another host")
        relay = self._relays.get(host)
        if relay is None:
            self._drop_unused()
            relay = Relay(Hop("smtp", host, self._port), self._settings, addresses)
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
            failure = lookup_failed(str(error))
            raise errors.NextHopError(
                failure.text, detail=failure.detail, reply=failure.reply
            ) from error

    def _drop_unused(self) -> None:
        if len(self._relays) >= MAX_HOSTS_CONNECTED:
            self._relays = {host: one for host, one in self._relays.items() if not one.unused}
        if len(self._relays) >= MAX_HOSTS_CONNECTED:
            raise errors.busy(f"connections to {MAX_HOSTS_CONNECTED} hosts")
