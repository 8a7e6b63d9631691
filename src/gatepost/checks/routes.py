"""Checks routes: missing ones, loops, and routes or options without effect."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from gatepost.config.listen import InetAddress, ListenAddress, UnixAddress
from gatepost.config.schema import ASKING, Config
from gatepost.delivery.routes import EVERYONE, pattern_key
from gatepost.delivery.smtp.hop import PORTS, Hop, Scheme, parse_hop
from gatepost.model.address import Address, domain_key
from gatepost.model.session import Recipient
from gatepost.net.own_address import is_own_address, unmapped
from gatepost.queue.routing import QueueRouter
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def unrouted(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield the domains for which no route matches every recipient."""
    if all(one.protocol in ASKING for one in config.listen):
        return  # no route delivers
    for source in setup.domains:
        for key in source.current:
            domain = f"any{key}" if key.startswith(".") else key.replace("*", "any.example")
            rcpt = Recipient(Address("any", domain), {}, "any", domain)
            if setup.router.route(rcpt) is None:
                yield (
                    f"no [[route]] matches all of {key}: other recipients there are deferred with"
                    " 451 4.3.5"
                )


def undelivered_digest(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield an address for the list of the quarantine that has no route."""
    if config.quarantine.digest:
        address = Address.parse(config.quarantine.digest)
        rcpt = Recipient(address, {}, address.local.lower(), domain_key(address.domain))
        if QueueRouter(setup.router, setup.is_local).route_to_sender(rcpt) is None:
            yield f"quarantine.digest: no [[route]] for {address}, so the list cannot be sent"


def shared_maildirs(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield Maildirs that receive the mail of several recipients."""
    for number, route in enumerate(config.route):
        several = len(route.for_) > 1 or any("@" not in pattern for pattern in route.for_)
        if route.to.startswith("maildir:") and several and "{local}" not in route.to:
            yield (
                f"route[{number}].to: all mail of this route goes to one Maildir, expected"
                " {domain} and {local} in its path"
            )


def relays(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield routes for authenticated clients if no client can authenticate."""
    for number, route in enumerate(config.route):
        if route.relay_for.authenticated and setup.authority is None:
            part = ": authenticated" if route.relay_for.networks else ""
            yield f"route[{number}].relay_for{part} has no effect: no [[listen]] has auth"


def loops(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield routes to a listener of this server."""
    for number, route in enumerate(config.route):
        scheme, _, text = route.to.partition(":")
        if scheme not in PORTS:
            continue
        hop = parse_hop(cast("Scheme", scheme), text, config.base)
        for listen in config.listen:
            if _leads_to(hop, listen.address, config):
                yield (
                    f"route[{number}].to: {hop} is listen {listen.address} of this server: mail"
                    " would loop until it is refused with 554 5.4.6"
                )


def _leads_to(hop: Hop, address: ListenAddress, config: Config) -> bool:
    """Return whether connections to a next hop reach a listener; names are not looked up."""
    if isinstance(address, UnixAddress):
        return hop.path != "" and Path(hop.path) == config.path(address.path)
    if not isinstance(address, InetAddress) or hop.path or hop.port != address.port:
        return False
    if hop.host == config.server.hostname:
        return True
    if hop.host == "localhost":
        listening = ip_address(address.host)
        return listening.is_loopback or listening.is_unspecified
    return _is_reached(hop.host, address.host)


def _is_reached(host: str, listening: str) -> bool:
    """Return whether a connection to `host` reaches a socket bound to `listening`."""
    try:
        target = unmapped(host)
    except ValueError:
        return False
    bound = unmapped(listening)
    if bound.is_unspecified:
        return target.version == bound.version and is_own_address(host)
    return target == bound


def hidden(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield routes and patterns that an earlier route hides."""
    first_route: dict[str, int] = {}
    for number, route in enumerate(config.route):
        if EVERYONE in first_route:
            table = ".relay_for" if route.relay_for else ""
            first = f"route[{first_route[EVERYONE]}]"
            yield f"route[{number}]{table} has no effect: {first} matches every recipient before it"
            continue
        keys = {pattern_key(pattern): pattern for pattern in route.for_}
        for key, pattern in keys.items():
            earlier = _earlier(first_route, key)
            if earlier is not None:
                first = f"route[{earlier}]"
                yield f"route[{number}].for: {pattern} has no effect: {first} matches before it"
        for key in keys:
            first_route.setdefault(key, number)


def _earlier(first_route: dict[str, int], key: str) -> int | None:
    """Return the earlier route that gets all mail for this key."""
    _, _, domain = key.rpartition("@")
    return first_route.get(key, first_route.get(domain))
