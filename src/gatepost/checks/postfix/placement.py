"""The places at which Postfix must ask this server, and what must not come before them.

A policy service sees a recipient only if no rule before it has decided. Before it Postfix must have
refused to relay: otherwise attempts to relay would be trap hits. And it must not have refused
unknown recipients: traps are unknown.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gatepost.checks.postfix.settings import Settings, items
from gatepost.config.listen import InetAddress, UnixAddress
from gatepost.config.schema import Config, ListenConfig

# Rules that refuse recipients because they do not exist.
REFUSES_UNKNOWN = frozenset({"reject_unlisted_recipient", "reject_unverified_recipient"})
REFUSES_RELAY = frozenset({"reject_unauth_destination", "defer_unauth_destination"})
# Rules that end a list for every client.
ENDS = frozenset({"permit", "reject", "defer", "defer_if_permit"})
ASK = "check_policy_service"
RECIPIENT = "smtpd_recipient_restrictions"
RELAY = "smtpd_relay_restrictions"
DATA = "smtpd_data_restrictions"
# Version 2.6 of Postfix, which has it, is older than every system that Gatepost runs on.
MILTER_PROTOCOL = 6


class Service(NamedTuple):
    """A listener as Postfix names it: `expected` is what to write, `names` are all that match."""

    expected: str
    names: frozenset[str]

    def is_named_by(self, item: str) -> bool:
        """Return whether an item of a list, with or without options in braces, is the service."""
        return any(word in self.names for word in items(item.strip("{}")))


def service_of(config: Config, listen: ListenConfig, queue_directory: str) -> Service | None:
    """Return how Postfix names a listener, None for an inherited socket."""
    address = listen.address
    if isinstance(address, InetAddress):
        return _inet(address)
    if isinstance(address, UnixAddress):
        path = str(config.path(address.path))
        relative = path.removeprefix(f"{queue_directory}/")
        return Service(f"unix:{relative}", frozenset({f"unix:{path}", f"unix:{relative}"}))
    return None


def _inet(address: InetAddress) -> Service:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    hosts = {host, shown} | ({"localhost"} if host in {"127.0.0.1", "::1"} else set())
    names = {f"inet:{one}:{address.port}" for one in hosts}
    return Service(f"inet:{shown}:{address.port}", frozenset(names))


def policy(settings: Settings, service: Service) -> Iterator[str]:
    """Yield what is wrong with the places at which Postfix asks a policy service."""
    rules = items(settings.get(RECIPIENT, ""))
    at = _position(rules, service)
    if at is None:
        yield f"{RECIPIENT} does not ask Gatepost: expected {ASK} {service.expected}"
    else:
        yield from _before(settings, rules[:at])
    if _position(items(settings.get(DATA, "")), service) is None:
        yield (
            f"{DATA} does not ask Gatepost, so a message to a trap is not refused:"
            f" expected {ASK} {service.expected}"
        )


def _position(rules: Sequence[str], service: Service) -> int | None:
    pairs = itertools.pairwise(rules)
    asks = (
        at for at, (rule, which) in enumerate(pairs) if rule == ASK and service.is_named_by(which)
    )
    return next(asks, None)


def _before(settings: Settings, rules: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the rules before the policy service."""
    earlier = [*_relay_rules_before(settings), *rules]
    if not REFUSES_RELAY.intersection(earlier):
        yield f"{RECIPIENT}: expected reject_unauth_destination before Gatepost is asked"
    for rule in earlier:
        if rule in REFUSES_UNKNOWN:
            yield f"{rule} comes before Gatepost, which is not asked about unknown recipients then"
    for rule in rules:
        if rule in ENDS:
            yield f"{RECIPIENT}: {rule} comes before Gatepost, which is never asked"


def _relay_rules_before(settings: Settings) -> Sequence[str]:
    """Return the rules about relaying, if Postfix applies them before those about recipients."""
    first = settings.get("smtpd_relay_before_recipient_restrictions", "yes") == "yes"
    return items(settings.get(RELAY, "")) if first else ()


def milter(settings: Settings, service: Service) -> Iterator[str]:
    """Yield what is wrong with the milters of Postfix."""
    if not any(map(service.is_named_by, items(settings.get("smtpd_milters", "")))):
        yield f"smtpd_milters does not name Gatepost: expected {service.expected}"
    if any(map(service.is_named_by, items(settings.get("non_smtpd_milters", "")))):
        yield (
            "non_smtpd_milters names Gatepost: mail that did not arrive by SMTP has no client to"
            " refuse, and would be returned to its sender"
        )
    version = settings.get("milter_protocol", "")
    if version.isdigit() and int(version) < MILTER_PROTOCOL:
        yield f"milter_protocol is {version}, expected {MILTER_PROTOCOL}"


# What is checked, by the protocol of a listener.
CHECKS: Mapping[str, Callable[[Settings, Service], Iterator[str]]] = {
    "milter": milter,
    "policy": policy,
}
